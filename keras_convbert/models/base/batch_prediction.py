"""Shared parts of the `predict_…` methods of tasks."""

from typing import Any

import keras
import numpy as np

# Lengths are rounded up to a multiple, since each new length compiles again.
LENGTH_MULTIPLE = 64


def required_preprocessor(task: Any) -> Any:
    """Returns the preprocessor, or raises `ValueError` if there is none."""
    if task.preprocessor is None:
        raise ValueError(
            "Expected a task with a preprocessor, since the input is text. "
            "Received: preprocessor=None"
        )
    return task.preprocessor


def predict_batch(task: Any, inputs: dict[str, np.ndarray]) -> Any:
    """Returns outputs in float32.

    Columns of padding that do not change the outputs are removed first.
    """
    longest = int(inputs["padding_mask"].sum(axis=1).max())
    longest += task.backbone.padding_margin
    full = inputs["padding_mask"].shape[1]
    length = min(full, -(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
    inputs = {
        name: values[:, :length] if values.shape[1:] == (full,) else values
        for name, values in inputs.items()
    }
    # The method of KerasHub would preprocess again.
    outputs = keras.Model.predict_on_batch(task, inputs)
    # Under `tf.distribute` each replica returns the rows of all.
    rows = len(inputs["padding_mask"])
    return keras.tree.map_structure(
        lambda output: np.asarray(output[:rows], "float32"), outputs
    )
