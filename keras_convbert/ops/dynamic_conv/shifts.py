"""Dynamic convolution as products with shifted views, backward pass too."""

from functools import partial

from keras import ops

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.ops.sequential import sequential_map
from keras_convbert.ops.sequential import sequential_sum
from keras_convbert.ops.time_padding import pad_time
from keras_convbert.ops.time_padding import window
from keras_convbert.types import Tensor


def shifts(values: Tensor, kernels: Tensor, left: int, right: int) -> Tensor:
    """Convolves with one product per tap, forward and backward.

    Automatic differentiation would keep one tensor per tap. The gradients
    here are sums of shifted products again and keep only the inputs.

    Args:
        values: Tensor of shape `(batch, length, heads, features)`.
        kernels: Tensor of shape `(batch, length, heads, taps)`.
        left: int. Number of zeros before the sequence.
        right: int. Number of zeros after it.

    Returns:
        Tensor of the shape of `values`.
    """
    convolve = with_gradient(
        partial(shifts_forward, left=left, right=right),
        partial(_backward, left=left, right=right),
    )
    return convolve(values, kernels)


def shifts_forward(
    values: Tensor, kernels: Tensor, left: int, right: int
) -> Tensor:
    """The sum of `shifts`, without its gradient."""
    taps = kernels.shape[-1]
    padded = pad_time(values, left, right)  # (B, T + K - 1, H, R)
    return sequential_sum(
        lambda k: kernels[..., k : k + 1] * window(padded, k, taps), taps
    )  # (B, T, H, R)


def _backward(
    upstream: Tensor, values: Tensor, kernels: Tensor, left: int, right: int
) -> tuple[Tensor, Tensor]:
    taps = kernels.shape[-1]
    padded = pad_time(values, left, right)  # (B, T + K - 1, H, R)
    kernels_gradient = ops.stack(
        sequential_map(
            lambda k: ops.sum(upstream * window(padded, k, taps), axis=-1),
            taps,
        ),
        axis=-1,
    )  # (B, T, H, K)
    return values_gradient(upstream, kernels, left, right), kernels_gradient


def values_gradient(
    upstream: Tensor, kernels: Tensor, left: int, right: int
) -> Tensor:
    """The gradient of the values, `(B, T, H, R)`."""
    taps = kernels.shape[-1]
    # The transposed convolution: taps and sides are reversed.
    padded_kernels = pad_time(kernels, right, left)
    padded_upstream = pad_time(upstream, right, left)
    return sequential_sum(
        lambda k: (
            window(padded_kernels, taps - 1 - k, taps)[..., k : k + 1]
            * window(padded_upstream, taps - 1 - k, taps)
        ),
        taps,
    )
