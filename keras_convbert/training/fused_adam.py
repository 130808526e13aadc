"""Adam by the kernels of PyTorch and TensorFlow.

Keras steps one weight after another, in seven passes over each, and in thirty
nodes of TensorFlow's graph. PyTorch's kernel takes all weights at once,
TensorFlow's each in one node: `benchmarks/optimizer.py` and `fit.py`.
"""

from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from keras_convbert.types import Tensor

# Steps after which Adam's correction of the bias is 1 to the last digit. What
# is corrected comes in the rate, as in Keras.
MANY_STEPS = 1e9
# Numbers of scaled gradients that are held at a time: 16 MiB.
PART = 2**22


class Weight(NamedTuple):
    """What a step takes of one weight."""

    value: Tensor
    gradient: Tensor
    scale: Tensor | None
    """What the gradient is multiplied by."""
    momentum: Tensor
    velocity: Tensor


def squared_norms(gradients: list[Tensor]) -> list[Tensor]:
    """The square of the length of each."""
    import torch

    norms: Any = torch._foreach_norm([one.float() for one in gradients])
    return [norm * norm for norm in norms]


def step(
    weights: list[Weight],
    rate: Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Moves weights, their momentums and velocities in place, on PyTorch.

    Args:
        weights: list of `Weight`, of float32.
        rate: float32 scalar tensor, the learning rate with the correction of
            the bias.
        beta_1: decay of the momentums.
        beta_2: decay of the velocities.
        epsilon: added to the root of the velocities.
    """
    import torch

    many = torch.full((), MANY_STEPS, device=weights[0].value.device)
    with torch.no_grad():
        for some in _in_parts(weights):
            # The kernel takes the numbers as they lie in memory.
            values = [weight.value.contiguous() for weight in some]
            torch._fused_adamw_(
                values,
                [_scaled(weight).contiguous() for weight in some],
                [weight.momentum for weight in some],
                [weight.velocity for weight in some],
                [],
                [many] * len(some),
                lr=rate,
                beta1=beta_1,
                beta2=beta_2,
                weight_decay=0.0,
                eps=epsilon,
                amsgrad=False,
                maximize=False,
            )
            for weight, value in zip(some, values, strict=True):
                if value is not weight.value:
                    weight.value.copy_(value)


def _scaled(weight: Weight) -> Tensor:
    gradient = weight.gradient.to(weight.value.dtype)
    return gradient if weight.scale is None else gradient * weight.scale


def _in_parts(weights: list[Weight]) -> Iterator[list[Weight]]:
    part: list[Weight] = []
    size = 0
    for weight in weights:
        if part and size + weight.value.numel() > PART:
            yield part
            part, size = [], 0
        part.append(weight)
        size += weight.value.numel()
    yield part


def step_on_tensorflow(
    variable: Any,
    momentum: Any,
    velocity: Any,
    gradient: Tensor,
    rate: Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Moves a variable of TensorFlow, its momentum and its velocity.

    Args:
        variable: `tf.Variable` of float32.
        momentum: `tf.Variable` of its shape.
        velocity: `tf.Variable` of its shape.
        gradient: dense tensor of its shape.
        rate: float32 scalar tensor, the learning rate with the correction of
            the bias.
        beta_1: decay of the momentum.
        beta_2: decay of the velocity.
        epsilon: added to the root of the velocity.
    """
    import tensorflow as tf

    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.handle,
        v=velocity.handle,
        # What corrects the bias is in the rate.
        beta1_power=0.0,
        beta2_power=0.0,
        lr=rate,
        beta1=beta_1,
        beta2=beta_2,
        epsilon=epsilon,
        grad=tf.cast(gradient, variable.dtype),
    )
