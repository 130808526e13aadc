"""Dynamic convolution in place, as torch can."""

from functools import partial

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.types import Tensor


def slices(values: Tensor, kernels: Tensor, left: int, right: int) -> Tensor:
    """Convolves by adding one product a tap to the same tensor.

    Nothing is padded, and nothing is allocated but the result: without a
    compiler each tensor of the size of `values` costs a pass over memory.

    Args:
        values: torch tensor of shape `(batch, length, heads, features)`.
        kernels: torch tensor of shape `(batch, length, heads, taps)`.
        left: int. Zeros before the sequence.
        right: int. Zeros behind it.

    Returns:
        Tensor of the shape of `values`.
    """
    del right
    convolve = with_gradient(
        partial(_forward, left=left), partial(_backward, left=left)
    )
    return convolve(values, kernels)


def _forward(values: Tensor, kernels: Tensor, left: int) -> Tensor:
    outputs = values * kernels[..., left : left + 1]
    for k, to, source in _spans(values, kernels.shape[-1], left):
        outputs[:, to].addcmul_(values[:, source], kernels[:, to, :, k : k + 1])
    return outputs


def _backward(
    upstream: Tensor, values: Tensor, kernels: Tensor, left: int
) -> tuple[Tensor, Tensor]:
    import torch

    taps = kernels.shape[-1]
    values_gradient = upstream * kernels[..., left : left + 1]
    kernels_gradient = torch.zeros_like(kernels)
    kernels_gradient[..., left] = torch.linalg.vecdot(upstream, values)
    for k, to, source in _spans(values, taps, left):
        sent = upstream[:, to]
        values_gradient[:, source].addcmul_(sent, kernels[:, to, :, k : k + 1])
        kernels_gradient[:, to, :, k] = torch.linalg.vecdot(
            sent, values[:, source]
        )
    return values_gradient, kernels_gradient


def _spans(
    values: Tensor, taps: int, left: int
) -> list[tuple[int, slice, slice]]:
    """Each tap but that of the position itself, where it ends, what it sees."""
    length = values.shape[1]
    spans = []
    for k in range(taps):
        offset = k - left
        first, last = max(0, -offset), length - max(0, offset)
        if offset and first < last:
            seen = slice(first + offset, last + offset)
            spans.append((k, slice(first, last), seen))
    return spans
