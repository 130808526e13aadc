"""Sums that half precision would spoil: softmax, losses and sampling."""

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
