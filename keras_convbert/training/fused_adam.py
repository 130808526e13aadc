"""Adam on PyTorch by kernels that take all weights at once.

Keras steps one weight after another there, in seven passes over each:
`benchmarks/optimizer.py` compares.
"""

from typing import Any

from keras_convbert.types import Tensor

# Steps after which Adam's correction of the bias is 1 to the last digit. What
# is corrected comes in the rate, as in Keras.
MANY_STEPS = 1e9


def squared_norms(gradients: list[Tensor]) -> list[Tensor]:
    """The square of the length of each."""
    import torch

    norms: Any = torch._foreach_norm(gradients)
    return [norm * norm for norm in norms]


def step(
    values: list[Tensor],
    gradients: list[Tensor],
    momentums: list[Tensor],
    velocities: list[Tensor],
    rate: Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Moves `values` in place.

    Args:
        values: float32 tensors, the weights.
        gradients: their gradients.
        momentums: the means of those, updated in place.
        velocities: the means of their squares, updated in place.
        rate: float32 scalar tensor, the learning rate with the correction of
            the bias.
        beta_1: decay of `momentums`.
        beta_2: decay of `velocities`.
        epsilon: added to the root of `velocities`.
    """
    import torch

    many = torch.full((), MANY_STEPS, device=values[0].device)
    with torch.no_grad():
        torch._fused_adamw_(
            values,
            gradients,
            momentums,
            velocities,
            [],
            [many] * len(values),
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=0.0,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
        )
