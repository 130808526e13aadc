"""Adam on PyTorch by kernels that take all weights at once.

Keras steps one weight after another there, in seven passes over each:
`benchmarks/optimizer.py` compares.
"""

from typing import Any

import keras

from keras_convbert.types import Tensor

# Steps after which Adam's correction of the bias is 1 to the last digit. What
# is corrected comes in the rate, as in Keras.
MANY_STEPS = 1e9


def on_torch() -> bool:
    """Whether weights are PyTorch's, and nobody compiles this very step.

    A compiler makes kernels that are as good of what Keras does.
    """
    if keras.backend.backend() != "torch":
        return False
    import torch

    return not torch.compiler.is_compiling()


def clip_by_global_norm(gradients: list[Tensor], norm: float) -> list[Tensor]:
    """Gradients, shortened to `norm` over all of them; NaN if one is not
    finite."""
    import torch

    norms: Any = torch._foreach_norm(gradients)
    length = torch.linalg.vector_norm(torch.stack(norms))
    scale = norm * torch.clamp(1.0 / length, max=1.0 / norm)
    scaled: Any = torch._foreach_mul(gradients, scale + (length - length))
    return list(scaled)


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
