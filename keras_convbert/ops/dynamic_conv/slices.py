"""Dynamic convolution with products added in place, on torch only."""

from functools import partial

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.types import Tensor


def slices(values: Tensor, kernels: Tensor, left: int, right: int) -> Tensor:
    """Convolves by adding one product per tap to the same tensor.

    It pads nothing and allocates only the result: without a compiler each
    tensor of the size of `values` costs a pass over the memory.

    Args:
        values: torch tensor of shape `(batch, length, heads, features)`.
        kernels: torch tensor of shape `(batch, length, heads, taps)`.
        left: int. Number of zeros before the sequence.
        right: int. Number of zeros after it; not used.

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
    for k, target, source in _spans(values, kernels.shape[-1], left):
        weights = kernels[:, target, :, k : k + 1]  # (B, t, H, 1)
        outputs[:, target].addcmul_(values[:, source], weights)
    return outputs


def _backward(
    upstream: Tensor, values: Tensor, kernels: Tensor, left: int
) -> tuple[Tensor, Tensor]:
    import torch

    taps = kernels.shape[-1]
    values_gradient = upstream * kernels[..., left : left + 1]
    kernels_gradient = torch.zeros_like(kernels)
    kernels_gradient[..., left] = torch.linalg.vecdot(upstream, values)
    for k, target, source in _spans(values, taps, left):
        sent = upstream[:, target]  # (B, t, H, R)
        weights = kernels[:, target, :, k : k + 1]  # (B, t, H, 1)
        values_gradient[:, source].addcmul_(sent, weights)
        kernels_gradient[:, target, :, k] = torch.linalg.vecdot(
            sent, values[:, source]
        )
    return values_gradient, kernels_gradient


def _spans(
    values: Tensor, taps: int, left: int
) -> list[tuple[int, slice, slice]]:
    """Each tap, the outputs that it adds to, and the inputs that it reads.

    The tap `left`, which reads the position itself, is left out: its product
    initializes the result.
    """
    length = values.shape[1]
    spans = []
    for k in range(taps):
        offset = k - left
        first, last = max(0, -offset), length - max(0, offset)
        if offset and first < last:
            source = slice(first + offset, last + offset)
            spans.append((k, slice(first, last), source))
    return spans
