"""Checks of what operators are given."""

import keras

from keras_convbert.types import Tensor


def check_floats(name: str, tensor: Tensor) -> None:
    """Refuses a tensor whose dtype is not a float one."""
    if not keras.backend.is_float_dtype(tensor.dtype):
        raise ValueError(
            f"Expected `{name}` of a float dtype. Received: {name}.dtype="
            f"{keras.backend.standardize_dtype(tensor.dtype)}"
        )
