"""Sizes that may be 0, known before the graph runs or only then."""

from typing import Any

import keras
from keras import ops

from keras_convbert.types import Tensor


def at_least_one(size: Any) -> Any:
    """Returns `size`, or 1 if it is 0.

    Args:
        size: int, or a scalar integer tensor if a graph does not know it.
    """
    return ops.maximum(size, 1) if ops.is_tensor(size) else max(size, 1)


def pad_if_empty(inputs: Tensor, axis: int) -> Tensor:
    """Returns `inputs`, with one zero along `axis` if there is nothing."""
    size = ops.shape(inputs)[axis]
    missing = at_least_one(size) - size
    if isinstance(missing, int) and not missing:
        return inputs
    widths: list[tuple[Any, Any]] = [(0, 0)] * len(inputs.shape)
    widths[axis] = (0, missing)
    return ops.pad(inputs, widths)


def first_or_zeros(inputs: Tensor) -> Tensor:
    """Returns `inputs[:, 0]`, or zeros if `inputs` `(B, T, ...)` has no T."""
    return ops.sum(inputs[:, :1], axis=1)


def largest(inputs: Tensor, axis: int, initial: float) -> Tensor:
    """Returns the maxima along `axis`, or `initial` if there is nothing.

    `initial` is at most as large as any entry. `ops.max` raises an error
    without rows on TensorFlow, and loses axes on PyTorch.
    """
    if keras.backend.backend() == "torch":
        if not inputs.shape[axis]:
            return (inputs.sum(axis) + initial).to(inputs.dtype)
        return inputs.amax(axis)
    return ops.max(inputs, axis=axis, initial=initial)
