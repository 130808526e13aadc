"""Zeros before and after a sequence, and the windows of what results."""

import keras
from keras import ops

from keras_convbert.types import Tensor


def padding_widths(kernel_size: int, padding: str) -> tuple[int, int]:
    """Zeros before and after the sequence, so that its length is kept."""
    if kernel_size < 1:
        raise ValueError(
            f"Expected a kernel of at least one tap. Received: {kernel_size}"
        )
    if padding == "same":
        return (kernel_size - 1) // 2, kernel_size // 2
    if padding == "causal":
        return kernel_size - 1, 0
    raise ValueError(
        'Invalid value for argument `padding`. Expected "same" or "causal". '
        f"Received: padding={padding}"
    )


def pad_time(inputs: Tensor, left: int, right: int) -> Tensor:
    """Adds zeros along axis 1."""
    rank = len(inputs.shape)
    if keras.backend.backend() == "torch":
        # `ops.pad` names a new operation at each call, which breaks the graph
        # of `torch.compile` and makes it compile again every time.
        import torch

        return torch.nn.functional.pad(
            inputs, (0, 0) * (rank - 2) + (left, right)
        )
    return ops.pad(inputs, ((0, 0), (left, right)) + ((0, 0),) * (rank - 2))


def window(padded: Tensor, tap: int, kernel_size: int) -> Tensor:
    """The inputs that one tap sees at every step, `(B, T, ...)`.

    `padded` is `(B, T + K - 1, ...)`. The end is counted from the back, so
    that the length may be unknown.
    """
    stop = tap - kernel_size + 1
    return padded[:, tap : stop if stop < 0 else None]
