"""Adam by the fused kernels of PyTorch and TensorFlow.

Keras updates one weight after another, in seven passes over each, or in thirty
nodes of a TensorFlow graph. The PyTorch kernel updates all weights at once,
the TensorFlow kernel each weight in one node. `benchmarks/optimizer.py` and
`benchmarks/fit.py` measure them.
"""

from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from keras_convbert.types import Tensor

# So many steps make the kernel's bias correction exactly 1. The learning rate
# contains the correction, as in Keras.
MANY_STEPS = 1e9
# Scaled gradients are held in chunks of so many numbers (16 MiB).
CHUNK_SIZE = 2**22


class Weight(NamedTuple):
    """One weight, its gradient and its optimizer state."""

    value: Tensor
    gradient: Tensor
    scale: Tensor | None
    """Factor for the gradient, `None` for 1."""
    momentum: Tensor
    velocity: Tensor


def squared_norms(gradients: list[Tensor]) -> list[Tensor]:
    """Returns the squared norm of each gradient."""
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
    """Updates weights, momentums and velocities in place, on PyTorch.

    Args:
        weights: list of `Weight`, of float32.
        rate: float32 scalar tensor, the learning rate with the bias
            correction.
        beta_1: decay of the momentums.
        beta_2: decay of the velocities.
        epsilon: added to the root of the velocities.
    """
    import torch

    many = torch.full((), MANY_STEPS, device=weights[0].value.device)
    with torch.no_grad():
        for chunk in _chunks(weights):
            # The kernel ignores strides.
            values = [weight.value.contiguous() for weight in chunk]
            torch._fused_adamw_(
                values,
                [_scaled(weight).contiguous() for weight in chunk],
                [weight.momentum for weight in chunk],
                [weight.velocity for weight in chunk],
                [],
                [many] * len(chunk),
                lr=rate,
                beta1=beta_1,
                beta2=beta_2,
                weight_decay=0.0,
                eps=epsilon,
                amsgrad=False,
                maximize=False,
            )
            for weight, value in zip(chunk, values, strict=True):
                if value is not weight.value:
                    weight.value.copy_(value)


def _scaled(weight: Weight) -> Tensor:
    gradient = weight.gradient.to(weight.value.dtype)
    return gradient if weight.scale is None else gradient * weight.scale


def _chunks(weights: list[Weight]) -> Iterator[list[Weight]]:
    chunk: list[Weight] = []
    size = 0
    for weight in weights:
        if chunk and size + weight.value.numel() > CHUNK_SIZE:
            yield chunk
            chunk, size = [], 0
        chunk.append(weight)
        size += weight.value.numel()
    yield chunk


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
    """Updates a TensorFlow variable, its momentum and its velocity.

    Args:
        variable: `tf.Variable` of float32.
        momentum: `tf.Variable` of its shape.
        velocity: `tf.Variable` of its shape.
        gradient: dense tensor of its shape.
        rate: float32 scalar tensor, the learning rate with the bias
            correction.
        beta_1: decay of the momentum.
        beta_2: decay of the velocity.
        epsilon: added to the root of the velocity.
    """
    import tensorflow as tf

    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.handle,
        v=velocity.handle,
        # The learning rate contains the bias correction.
        beta1_power=0.0,
        beta2_power=0.0,
        lr=rate,
        beta1=beta_1,
        beta2=beta_2,
        epsilon=epsilon,
        grad=tf.cast(gradient, variable.dtype),
    )
