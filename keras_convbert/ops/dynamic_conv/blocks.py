"""Dynamic convolution whose kernel gradient is a product of blocks."""

from functools import partial

from keras import ops

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.ops.dynamic_conv.shifts import shifts_forward
from keras_convbert.ops.dynamic_conv.shifts import values_gradient
from keras_convbert.ops.time_padding import pad_time
from keras_convbert.types import Tensor

BLOCK = 64
MAX_TAPS = BLOCK


def blocks(values: Tensor, kernels: Tensor, left: int, right: int) -> Tensor:
    """Convolves by shifts; the gradient of the kernels is a matrix product.

    That gradient is a dot product of R features per position and tap, a
    reduction that XLA computes slowly on a CPU. So the sequence is cut into
    blocks of `BLOCK` positions; one matrix product gives the dot products of
    each position of a block with the whole span of the block, and only the K
    diagonals that belong to the taps are kept.

    Args:
        values: Tensor of shape `(batch, length, heads, features)`, of known
            length.
        kernels: Tensor of shape `(batch, length, heads, taps)`, with at most
            `MAX_TAPS` taps.
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
    """`sum_r upstream[b, t, h, r] * values[b, t + k - left, h, r]`.

    In the comments S is `BLOCK` and N the number of blocks of the sequence.
    """
    _, length, heads, features = values.shape
    num_blocks = -(-length // BLOCK)

    def cut(inputs: Tensor, before: int, count: int) -> Tensor:
        after = count * BLOCK - before - length
        return ops.reshape(
            pad_time(inputs, before, after),
            (-1, count, BLOCK, heads, features),
        )

    own = cut(values, left, num_blocks + 1)  # (B, N + 1, S, H, R)
    spans = ops.concatenate(
        [own[:, :-1], own[:, 1:, : taps - 1]], axis=2
    )  # (B, N, S + K - 1, H, R)
    products = ops.einsum(
        "bnshr,bnwhr->bnhsw", cut(upstream, 0, num_blocks), spans
    )  # (B, N, H, S, S + K - 1)
    diagonals = _diagonals(products, taps)  # (B, N, H, S, K)
    by_position = ops.transpose(diagonals, (0, 1, 3, 2, 4))  # (B, N, S, H, K)
    gradient = ops.reshape(by_position, (-1, num_blocks * BLOCK, heads, taps))
    return gradient[:, :length]  # (B, T, H, K)


def _diagonals(band: Tensor, taps: int) -> Tensor:
    """Gathers the entries `[s, s + k]` of the last two axes, `(..., S, K)`.

    Rows that are one entry longer move a diagonal into a column.
    """
    _, num_blocks, heads, rows, width = band.shape
    flat = ops.reshape(band, (-1, num_blocks, heads, rows * width))
    filler = ops.zeros_like(flat[..., :rows])
    flat = ops.concatenate([flat, filler], axis=-1)
    by_row = ops.reshape(flat, (-1, num_blocks, heads, rows, width + 1))
    return by_row[..., :taps]
