"""Dynamic convolution whose kernels learn by products of blocks."""

from functools import partial

from keras import ops

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.ops.dynamic_conv_shifts import shifts_forward
from keras_convbert.ops.dynamic_conv_shifts import values_gradient
from keras_convbert.ops.time_padding import pad_time
from keras_convbert.types import Tensor

BLOCK = 64


def fits(values: Tensor, taps: int) -> bool:
    """Whether `blocks` can be used: for a known length, and spans not long."""
    return isinstance(values.shape[1], int) and taps <= BLOCK


def blocks(values: Tensor, kernels: Tensor, left: int, right: int) -> Tensor:
    """Convolves by shifts; the gradient of the kernels is a matrix product.

    That gradient is a dot product of features for every position and tap, a
    reduction that XLA does slowly on a CPU. So the sequence is cut into blocks
    of `BLOCK` positions, all the dot products of a block with the span that it
    sees are taken, and the `taps` diagonals that are wanted are kept.

    Args:
        values: Tensor of shape `(batch, length, heads, features)` that `fits`.
        kernels: Tensor of shape `(batch, length, heads, taps)`.
        left: int. Zeros before the sequence.
        right: int. Zeros behind it.

    Returns:
        Tensor of the shape of `values`.
    """
    convolve = with_gradient(
        partial(shifts_forward, left=left, right=right),
        partial(_backward, left=left, right=right),
    )
    return convolve(values, kernels)


def _backward(
    upstream: Tensor, values: Tensor, kernels: Tensor, left: int, right: int
) -> tuple[Tensor, Tensor]:
    return (
        values_gradient(upstream, kernels, left, right),
        _kernels_gradient(upstream, values, kernels.shape[-1], left),
    )


def _kernels_gradient(
    upstream: Tensor, values: Tensor, taps: int, left: int
) -> Tensor:
    _, length, heads, features = values.shape
    count = -(-length // BLOCK)

    def cut(inputs: Tensor, before: int, parts: int) -> Tensor:
        behind = parts * BLOCK - before - length
        return ops.reshape(
            pad_time(inputs, before, behind),
            (-1, parts, BLOCK, heads, features),
        )

    own = cut(values, left, count + 1)  # (B, N + 1, S, H, R)
    seen = ops.concatenate(
        [own[:, :-1], own[:, 1:, : taps - 1]], axis=2
    )  # (B, N, S + K - 1, H, R)
    products = ops.einsum(
        "bnshr,bnwhr->bnhsw", cut(upstream, 0, count), seen
    )  # (B, N, H, S, S + K - 1)
    diagonals = _diagonals(products, taps)  # (B, N, H, S, K)
    by_step = ops.transpose(diagonals, (0, 1, 3, 2, 4))  # (B, N, S, H, K)
    gradient = ops.reshape(by_step, (-1, count * BLOCK, heads, taps))
    return gradient[:, :length]  # (B, T, H, K)


def _diagonals(band: Tensor, taps: int) -> Tensor:
    """Entries `[s, s + k]`: rows one longer put a diagonal in a column."""
    _, count, heads, rows, width = band.shape
    flat = ops.reshape(band, (-1, count, heads, rows * width))
    filler = ops.zeros_like(flat[..., :rows])
    flat = ops.concatenate([flat, filler], axis=-1)
    by_row = ops.reshape(flat, (-1, count, heads, rows, width + 1))
    return by_row[..., :taps]
