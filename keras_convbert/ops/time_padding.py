"""Zero padding along time, and the window of the inputs per tap."""

import keras
from keras import ops

from keras_convbert.types import Tensor


def padding_widths(kernel_size: int, padding: str) -> tuple[int, int]:
    """The numbers of zeros before and after a sequence that keep its length.

    Raises:
        ValueError: if the kernel has no tap, or `padding` is unknown.
    """
    if kernel_size < 1:
        raise ValueError(
            "Expected a kernel of at least one tap. Received: "
            f"kernel_size={kernel_size}"
        )
    if padding == "same":
        return (kernel_size - 1) // 2, kernel_size // 2
    if padding == "causal":
        return kernel_size - 1, 0
    raise ValueError(
        'Invalid value for argument `padding`. Expected "same" or "causal". '
        f"Received: padding={padding!r}"
    )


def pad_time(inputs: Tensor, left: int, right: int) -> Tensor:
    """Adds `left` zeros before and `right` zeros after `inputs`, on axis 1."""
    rank = len(inputs.shape)
    if keras.backend.backend() == "torch":
        # `ops.pad` creates a new operation per call, which breaks the graph
        # of `torch.compile` and triggers a new compilation.
        import torch

        return torch.nn.functional.pad(
            inputs, (0, 0) * (rank - 2) + (left, right)
        )
    return ops.pad(inputs, ((0, 0), (left, right)) + ((0, 0),) * (rank - 2))


def window(padded: Tensor, tap: int, kernel_size: int) -> Tensor:
    """The inputs that one tap reads at all positions, `(B, T, ...)`.

    `padded` has the shape `(B, T + K - 1, ...)`. The stop index is negative,
    so that the length may be unknown.
    """
    stop = tap - kernel_size + 1
    return padded[:, tap : stop if stop < 0 else None]
