"""Shared parts of the `predict_…` methods of tasks."""

from typing import Any

import keras
import numpy as np

from keras_convbert.models.base.in_memory_dataset import InMemoryAdapter
from keras_convbert.models.base.in_memory_dataset import as_arrays

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


def rounded_up(task: Any, size: int, limit: int | None = None) -> int:
    """Returns the size to which an axis of the inputs is padded.

    If the task is compiled, which happens for each shape anew, it is the next
    power of two, or `limit` if that is less. Otherwise it is `size`.
    """
    if not size or not task.jit_compile:
        return size
    rounded = 1 << (size - 1).bit_length()
    return rounded if limit is None else max(size, min(rounded, limit))


def predict_batch(
    task: Any, inputs: dict[str, np.ndarray], batch_size: int
) -> Any:
    """Returns outputs in float32.

    Columns of padding that do not change the outputs are removed first.

    Args:
        task: a task.
        inputs: dict of the arrays of a batch.
        batch_size: int. The number of rows of a full batch.
    """
    longest = int(inputs["padding_mask"].sum(axis=1).max())
    longest += task.backbone.padding_margin
    full = inputs["padding_mask"].shape[1]
    length = min(full, -(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
    inputs = {
        name: values[:, :length] if values.shape[1:] == (full,) else values
        for name, values in inputs.items()
    }
    return keras.tree.map_structure(
        lambda output: np.asarray(output, "float32"),
        predict_rows(task, inputs, batch_size),
    )


def predict_rows(task: Any, inputs: Any, batch_size: int | None = None) -> Any:
    """Returns the outputs for a batch of model inputs.

    If the task is compiled, rows are added to the inputs, as `rounded_up`
    says, and removed from the outputs.

    Args:
        task: a task.
        inputs: nest of arrays.
        batch_size: int. The number of rows of a full batch, if known. Defaults
            to `None`.
    """
    rows = len(keras.tree.flatten(inputs)[0])
    inputs = add_rows(inputs, rounded_up(task, rows, batch_size))
    # The method of KerasHub would preprocess again.
    outputs = keras.Model.predict_on_batch(task, inputs)
    # Under `tf.distribute` each replica returns the rows of all.
    return first_rows(outputs, rows)


def predict_samples(task: Any, data: InMemoryAdapter, **kwargs: Any) -> Any:
    """Returns what `keras.Model.predict` does for samples in memory.

    The rows of the last batch are rounded up as in `predict_rows`.
    """
    samples = data.py_dataset
    preprocess = samples.preprocess
    rest = samples.num_samples % samples.batch_size
    size = rounded_up(task, rest, samples.batch_size)
    if size > rest:
        # No other batch has fewer rows.
        samples.preprocess = lambda *batch: add_rows(
            as_arrays(preprocess(*batch)), size
        )
    outputs = keras.Model.predict(task, data, **kwargs)
    return first_rows(outputs, samples.num_samples)


def add_rows(inputs: Any, size: int) -> Any:
    """Repeats the last row of each array until there are `size` rows."""

    def add(values: Any) -> Any:
        missing = 0 if values is None else size - len(values)
        if missing <= 0:
            return values
        return np.concatenate([values, np.repeat(values[-1:], missing, 0)])

    return keras.tree.map_structure(add, inputs)


def first_rows(outputs: Any, rows: int) -> Any:
    """Returns the first rows of each array."""
    return keras.tree.map_structure(lambda output: output[:rows], outputs)
