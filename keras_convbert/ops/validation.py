"""Checks of the arguments of operators."""

import keras

from keras_convbert.types import Tensor


def check_floats(name: str, tensor: Tensor) -> None:
    """Raises `ValueError` if `tensor` is not of a float dtype."""
    if not keras.backend.is_float_dtype(tensor.dtype):
        raise ValueError(
            f"Expected `{name}` to have a float dtype. Received: {name}.dtype="
            f"{keras.backend.standardize_dtype(tensor.dtype)}"
        )


def check_heads(channels: int, num_heads: int) -> None:
    """Raises `ValueError` if the heads do not divide the channels."""
    if not num_heads or channels % num_heads:
        raise ValueError(
            "Expected a number of heads that divides the channels of "
            f"`values`. Received: heads={num_heads}, channels={channels}"
        )
