"""Dynamic convolution in its readable form, the reference of the others."""

from keras_convbert.ops.time_padding import pad_time
from keras_convbert.ops.time_padding import window
from keras_convbert.types import Tensor


def naive(values: Tensor, kernels: Tensor, left: int, right: int) -> Tensor:
    """Convolves with one product per tap, differentiated by the backend.

    Args:
        values: Tensor of shape `(batch, length, heads, features)`.
        kernels: Tensor of shape `(batch, length, heads, taps)`.
        left: int. Number of zeros before the sequence.
        right: int. Number of zeros after it.

    Returns:
        Tensor of the shape of `values`.
    """
    taps = kernels.shape[-1]
    padded = pad_time(values, left, right)  # (B, T + K - 1, H, R)
    return sum(
        kernels[..., k : k + 1] * window(padded, k, taps) for k in range(taps)
    )  # (B, T, H, R)
