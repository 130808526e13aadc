"""Shared parts of the `predict_…` methods of tasks."""

from typing import Any

import keras
import numpy as np

# Lengths are rounded up to a multiple: each length is compiled anew.
LENGTH_MULTIPLE = 64


def required_preprocessor(task: Any) -> Any:
    """The preprocessor; raises `ValueError` if the task has none."""
    if task.preprocessor is None:
        raise ValueError(
            "Expected a task with a preprocessor, to take text. "
            "Received: preprocessor=None"
        )
    return task.preprocessor


def predict_batch(task: Any, inputs: dict[str, np.ndarray]) -> Any:
    """Outputs in float32, without padding that does not change them."""
    longest = int(inputs["padding_mask"].sum(axis=1).max())
    longest += task.backbone.padding_margin
    full = inputs["padding_mask"].shape[1]
    length = min(full, -(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
    inputs = {
        name: values[:, :length] if values.shape[1:] == (full,) else values
        for name, values in inputs.items()
    }
    # Not the method of KerasHub, which would preprocess.
    outputs = keras.Model.predict_on_batch(task, inputs)
    return keras.tree.map_structure(
        lambda output: np.asarray(output, "float32"), outputs
    )
