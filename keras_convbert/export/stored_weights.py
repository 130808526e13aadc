"""Weights of a SavedModel, stored in a smaller dtype."""

from typing import Any

import keras
import numpy as np

from keras_convbert.types import Tensor

STORED_DTYPES = ("float16", "bfloat16", "int8")
LARGEST = 127


class StoredWeights:
    """Variables of a model, stored as `dtype`.

    A graph that is traced inside `scope` reads the stored values and casts
    them to the dtype of the variable. `"int8"` stores matrices as integers
    from -127 to 127, with one scale per output (per token for embeddings), and
    does not change vectors.

    Args:
        model: a built model, which is not modified.
        dtype: string, one of `STORED_DTYPES`.
    """

    def __init__(self, model: keras.Model, dtype: str) -> None:
        self._stored = [
            (variable, self._store(variable, dtype))
            for variable in model.variables
            if keras.backend.is_float_dtype(variable.dtype)
        ]

    def scope(self) -> Any:
        """Returns a context in which the model reads the stored values."""
        import tensorflow as tf

        def read(parts: tuple[Tensor, ...], dtype: str) -> Tensor:
            values, *scale = (tf.cast(part, dtype) for part in parts)
            return values * scale[0] if scale else values

        return keras.StatelessScope(
            state_mapping=[
                (variable, read(parts, variable.dtype))
                for variable, parts in self._stored
            ]
        )

    def _store(self, variable: Any, dtype: str) -> tuple[Tensor, ...]:
        import tensorflow as tf

        def stored(values: Any, dtype: str) -> Tensor:
            return tf.Variable(tf.cast(values, dtype), trainable=False)

        values = keras.ops.convert_to_numpy(variable)
        if dtype != "int8":
            return (stored(_check_range(values, dtype, variable.path), dtype),)
        if values.ndim < 2:
            return (stored(values, variable.dtype),)
        axis = -1 if variable.name == "embeddings" else 0
        values = np.asarray(values, "float32")
        scale = np.abs(values).max(axis=axis, keepdims=True) / LARGEST
        scale = np.maximum(scale, np.finfo("float32").tiny)
        rounded = np.rint(values / scale)
        return stored(rounded, "int8"), stored(scale, "float32")


def _check_range(values: np.ndarray, dtype: str, path: str) -> np.ndarray:
    largest = float(np.abs(np.asarray(values, "float32")).max(initial=0.0))
    if dtype == "float16" and largest > float(np.finfo("float16").max):
        raise ValueError(
            "Expected weights that float16 can represent, up to 65504. For "
            'larger weights use `dtype="bfloat16"`. '
            f"Received: {largest} in {path}"
        )
    return values
