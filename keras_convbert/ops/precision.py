"""Precisions of sums, which half precision would spoil in some places."""

import keras
from keras import ops

from keras_convbert.types import DType
from keras_convbert.types import Tensor


def float32_or_wider(dtype: DType) -> str:
    """Returns `"float64"` for float64, and `"float32"` for other dtypes."""
    found: str = keras.backend.standardize_dtype(dtype)
    return found if found == "float64" else "float32"


def upcast(x: Tensor) -> Tensor:
    """Casts half precision to float32; other floats keep their dtype."""
    return ops.cast(x, float32_or_wider(x.dtype))


def add_promoted(x: Tensor, y: Tensor) -> Tensor:
    """Returns the sum of tensors of one shape, in their common dtype.

    `ops.add` of TensorFlow takes a tensor without rows for a bias.
    """
    dtype = keras.backend.result_type(x.dtype, y.dtype)
    return ops.cast(x, dtype) + ops.cast(y, dtype)
