"""Weights in fewer bytes than they are computed with, in TensorFlow."""

from typing import Any

import keras
import numpy as np

from keras_convbert.types import Tensor

STORED_DTYPES = ("float16", "bfloat16", "int8")
LARGEST = 127


class StoredWeights:
    """Variables of a model, stored as `dtype`.

    What a graph inside of `scope` reads is made of them anew. `"int8"` keeps
    matrices as whole numbers from -127 to 127, with a scale for each output
    (of an embedding for each token), and leaves vectors as they are.

    Args:
        model: a built model. It is not changed.
        dtype: string, one of `STORED_DTYPES`.
    """

    def __init__(self, model: keras.Model, dtype: str) -> None:
        self._stored = [
            (variable, self._store(variable, dtype))
            for variable in model.variables
            if keras.backend.is_float_dtype(variable.dtype)
        ]

    def scope(self) -> Any:
        """A context in which the model reads what is stored."""
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
            return (stored(_within(values, dtype, variable.path), dtype),)
        if values.ndim < 2:
            return (stored(values, variable.dtype),)
        axis = -1 if variable.name == "embeddings" else 0
        values = np.asarray(values, "float32")
        scale = np.abs(values).max(axis=axis, keepdims=True) / LARGEST
        scale = np.maximum(scale, np.finfo("float32").tiny)
        whole = np.rint(values / scale)
        return stored(whole, "int8"), stored(scale, "float32")


def _within(values: np.ndarray, dtype: str, path: str) -> np.ndarray:
    largest = float(np.abs(np.asarray(values, "float32")).max(initial=0.0))
    if dtype == "float16" and largest > np.finfo("float16").max:
        raise ValueError(
            f"Expected weights that float16 can hold, up to 65504. Received: "
            f'{largest} in {path}. Use `dtype="bfloat16"`'
        )
    return values
