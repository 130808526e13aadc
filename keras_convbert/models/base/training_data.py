"""Recognizes the inputs of `fit`, `evaluate` and `predict`."""

import contextlib
import math
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from keras_convbert.compat import DataAdapter
from keras_convbert.compat import apply_preprocessing
from keras_convbert.models.base.batch_adapters import StreamAdapter
from keras_convbert.models.base.batch_adapters import TextPyDatasetAdapter
from keras_convbert.models.base.batch_reader import BatchReader
from keras_convbert.models.base.in_memory_dataset import InMemoryAdapter
from keras_convbert.models.base.in_memory_dataset import InMemoryDataset
from keras_convbert.text.columns import columns_of
from keras_convbert.text.columns import is_column
from keras_convbert.text.columns import is_table

BATCH_SIZE = 32
Samples = tuple[Any, Any, Any]


def in_memory(x: Any) -> bool:
    """Returns whether `x` are samples in memory; a table counts as such."""
    columns = columns_of(x)
    return bool(columns) and all(
        is_column(column) or is_table(column) for column in columns
    )


def as_data(
    task: Any,
    samples: Samples,
    batch_size: int | None,
    shuffle: bool = False,
    class_weight: Any = None,
) -> Any:
    """Returns data for the methods of `keras.Model`; `None` for KerasHub.

    Args:
        task: a task.
        samples: tuple `(x, y, sample_weight)`, as given to `fit`.
        batch_size: int. Samples per batch; `None` is 32.
        shuffle: bool. Whether to shuffle. Defaults to `False`.
        class_weight: dict of the weights of classes; `None` for none.
            Defaults to `None`.

    Returns:
        A `DataAdapter`, or a `tf.data` dataset of model inputs.
    """
    reader = BatchReader(task, class_weight)
    x = samples[0]
    if in_memory(x):
        return _in_memory_adapter(
            task, reader, samples, batch_size, shuffle, class_weight
        )
    if isinstance(x, DataAdapter):
        return x
    if isinstance(x, (str, bytes)):
        raise ValueError(
            "Expected a batch of texts, such as a list. "
            f"Received: x={x!r:.80}, a single text"
        )
    if not isinstance(x, Iterable):
        return None
    if any(part is not None for part in samples[1:]):
        raise ValueError(
            "Expected no `y` and `sample_weight`, since `x` has batches, which "
            "contain the labels and the weights. "
            f"Received: x of type {type(x).__name__}"
        )
    if isinstance(x, keras.utils.PyDataset):
        return TextPyDatasetAdapter(x, reader.read_batch, shuffle)
    if _is_tf_dataset(x):
        if batch_size is not None:
            return None
        x = apply_preprocessing(x, task.preprocess_samples)
        return x.map(_unpacked(reader)) if reader.weighs_classes else x
    return None if _is_grain(x) else StreamAdapter(x, reader.read_batch)


def as_validation_data(task: Any, data: Any, batch_size: int | None) -> Any:
    """Returns validation data for `keras.Model.fit`.

    Args:
        task: a task.
        data: samples as a tuple or a list `(x, y)` or
            `(x, y, sample_weight)`, or batches.
        batch_size: int. Samples per batch; `None` is 32.
    """
    samples = as_samples(data)
    check_has_labels(task, *samples[:2])
    found = as_data(task, samples, batch_size if in_memory(data) else None)
    if found is None:
        return apply_preprocessing(data, task.preprocess_samples)
    return found


def check_has_labels(task: Any, x: Any, y: Any) -> None:
    """Raises `ValueError` if samples in memory lack labels that are needed."""
    if any(map(is_table, columns_of(x))):
        return
    if y is None and task.needs_labels and in_memory(x):
        raise ValueError(
            f"Expected labels `y`, which {type(task).__name__} needs to train "
            "and to evaluate. Received: y=None"
        )


def as_samples(data: Any) -> Samples:
    """Returns validation data as a tuple `(x, y, sample_weight)`."""
    if isinstance(data, (tuple, list)) and not is_column(tuple(data)):
        return keras.utils.unpack_x_y_sample_weight(tuple(data))
    return data, None, None


def split(task: Any, samples: Samples, fraction: float) -> tuple[Any, Any]:
    """Splits off the last `fraction` of the samples.

    Raises:
        ValueError: if they are not in memory, or too few.
    """
    if not in_memory(samples[0]):
        raise ValueError(
            "Expected samples in memory, since `validation_split` is set. "
            "For other data pass `validation_data`. "
            f"Received: x of type {type(samples[0]).__name__}"
        )
    batches = InMemoryDataset(
        BatchReader(task).read_samples(*samples),
        1,
        lambda *batch: batch,
        shuffle=False,
        noise=_no_noise,
    )
    total = batches.num_samples
    first = int(np.floor(total * (1.0 - fraction)))
    if not 0 < first < total:
        raise ValueError(
            f"Expected `validation_split` to leave at least one of {total} "
            f"samples on each side. Received: validation_split={fraction}"
        )
    return batches.part(0, first), batches.part(first, total)


def count_batches(x: Any, batch_size: int | None) -> int | None:
    """Returns the batches per epoch of an input of `fit`; `None` if unknown."""
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    if hasattr(x, "cardinality"):
        cardinality = int(x.cardinality())
        return cardinality if cardinality >= 0 else None
    if in_memory(x):
        return math.ceil(len(columns_of(x)[0]) / (batch_size or BATCH_SIZE))
    try:
        return len(x)
    except TypeError:
        return None


def _in_memory_adapter(
    task: Any,
    reader: BatchReader,
    samples: Samples,
    batch_size: int | None,
    shuffle: bool,
    class_weight: Any,
) -> InMemoryAdapter:
    samples = reader.read_samples(*samples)
    if samples[1] is not None and hasattr(task, "check_labels"):
        task.check_labels(samples[1])
    preprocess = task.preprocess_samples
    if hasattr(task.preprocessor, "to_windows"):
        samples = task.preprocessor.to_windows(*samples)
        preprocess = task.preprocessor.collate
    draw_noise = getattr(task.preprocessor, "draw_noise", None)
    batches = InMemoryDataset(
        samples,
        batch_size or BATCH_SIZE,
        lambda *batch: reader.weigh_classes(preprocess(*batch)),
        shuffle,
        _no_noise if draw_noise is None else draw_noise(),
    )
    return InMemoryAdapter(
        batches,
        class_weight=None if reader.weighs_classes else class_weight,
    )


def _no_noise(epoch: int, index: int) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def _unpacked(reader: BatchReader) -> Any:
    """Returns a function of a batch that `tf.data` passes in parts."""
    return lambda *parts: reader.weigh_classes(parts)


def _is_tf_dataset(x: Any) -> bool:
    return hasattr(x, "element_spec") and hasattr(x, "map")


def _is_grain(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "grain"
