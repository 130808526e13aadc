"""How tasks take their samples: `fit`, `evaluate` and `predict`.

KerasHub turns samples in memory into a dataset that is never shuffled, and
needs `grain` or TensorFlow for it. These take such samples through
`InMemoryDataset`, and leave datasets to KerasHub.
"""

import contextlib
from contextlib import AbstractContextManager
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_convbert.compat import apply_preprocessing
from keras_convbert.models.base.in_memory_dataset import InMemoryAdapter
from keras_convbert.models.base.in_memory_dataset import InMemoryDataset
from keras_convbert.models.base.in_memory_dataset import leaves_of

BATCH_SIZE = 32


def fit(
    task: keras_hub.models.Task,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    sample_weight: Any = None,
    validation_data: Any = None,
    validation_split: float | None = None,
    **kwargs: Any,
) -> Any:
    """Trains the task.

    Args:
        x: samples: texts (a list, an array, a tensor), a tuple of two such
            for pairs, or a dict of arrays where there is no preprocessor; or
            a `tf.data`, `grain` or `keras.utils.PyDataset` dataset, the last
            of batches that need no preprocessing. Defaults to `None`.
        y: labels, unless `x` is a dataset. Defaults to `None`.
        batch_size: int. Samples in a step, `None` for 32. Defaults to `None`.
        sample_weight: weights, unless `x` is a dataset. Defaults to `None`.
        validation_data: tuple of `x`, `y`, perhaps `sample_weight`, or a
            dataset. Defaults to `None`.
        validation_split: float. Share of the samples, the last of them, to
            validate on. Defaults to `None`.
        **kwargs: arguments of `keras.Model.fit`; `shuffle=True` gives samples
            in memory a new order in each epoch.

    Returns:
        A `keras.callbacks.History`.
    """
    if task.compiled and task.optimizer and not task.optimizer.built:
        # TensorFlow traces a step twice if the first makes variables.
        task.optimizer.build(task.trainable_variables)
    if not (_in_memory(x) or isinstance(x, keras.utils.PyDataset)):
        return keras_hub.models.Task.fit(
            task,
            x,
            y,
            batch_size,
            sample_weight,
            validation_data,
            validation_split,
            **kwargs,
        )
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = _split(
            (x, y, sample_weight), validation_split
        )
    if _in_memory(x):
        x = _batches(
            task,
            (x, y, sample_weight),
            batch_size,
            shuffle=kwargs.pop("shuffle", True),
            class_weight=kwargs.pop("class_weight", None),
        )
        # Its order is its own; Keras would only warn that it cannot.
        kwargs["shuffle"] = False
    if validation_data is not None:
        validation_data = _prepare(task, validation_data, batch_size)
    return keras.Model.fit(task, x, validation_data=validation_data, **kwargs)


def evaluate(
    task: keras_hub.models.Task,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    sample_weight: Any = None,
    **kwargs: Any,
) -> Any:
    """Loss and metrics on samples that are given as to `fit`.

    Args:
        x: samples, or a dataset. Defaults to `None`.
        y: labels, unless `x` is a dataset. Defaults to `None`.
        batch_size: int. Samples in a step, `None` for 32. Defaults to `None`.
        sample_weight: weights, unless `x` is a dataset. Defaults to `None`.
        **kwargs: arguments of `keras.Model.evaluate`.

    Returns:
        As `keras.Model.evaluate` does.
    """
    if _in_memory(x):
        x = _batches(task, (x, y, sample_weight), batch_size)
    if isinstance(x, (keras.utils.PyDataset, InMemoryAdapter)):
        return keras.Model.evaluate(task, x, **kwargs)
    return keras_hub.models.Task.evaluate(
        task, x, y, batch_size, sample_weight, **kwargs
    )


def predict(
    task: keras_hub.models.Task,
    x: Any = None,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Any:
    """Outputs for samples that are given as to `fit`.

    Args:
        x: samples, or a dataset. Defaults to `None`.
        batch_size: int. Samples in a step, `None` for 32. Defaults to `None`.
        **kwargs: arguments of `keras.Model.predict`.

    Returns:
        Arrays, as `keras.Model.predict` does.
    """
    if _in_memory(x):
        x = _batches(task, (x, None, None), batch_size)
    if isinstance(x, (keras.utils.PyDataset, InMemoryAdapter)):
        return keras.Model.predict(task, x, **kwargs)
    return keras_hub.models.Task.predict(task, x, batch_size, **kwargs)


def _in_memory(x: Any) -> bool:
    leaves = leaves_of(x)
    return bool(leaves) and all(
        isinstance(leaf, list)
        or (
            hasattr(leaf, "shape")
            and hasattr(leaf, "dtype")
            and len(leaf.shape) > 0
            and not hasattr(leaf, "row_splits")
        )
        for leaf in leaves
    )


def _batches(
    task: keras_hub.models.Task,
    samples: tuple[Any, Any, Any],
    batch_size: int | None,
    shuffle: bool = False,
    class_weight: dict[int, float] | None = None,
) -> InMemoryAdapter:
    _check_strings(task, samples[0])
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
        preprocess,
        shuffle,
        _no_noise if draw_noise is None else draw_noise(),
    )
    return InMemoryAdapter(batches, class_weight=class_weight)


def _check_strings(task: keras_hub.models.Task, x: Any) -> None:
    """Raises `ValueError` for text that nothing makes token ids of."""
    if task.preprocessor is None:
        for leaf in leaves_of(x):
            if isinstance(leaf, list) and leaf and isinstance(leaf[0], str):
                raise ValueError(
                    "Expected arrays of token ids, since the task has no "
                    "preprocessor to make them of text; give it one with "
                    f"`preprocessor=`. Received: x of strings, as {leaf[0]!r}"
                )


def _no_noise(epoch: int, index: int) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def _prepare(
    task: keras_hub.models.Task, data: Any, batch_size: int | None
) -> Any:
    if isinstance(data, keras.utils.PyDataset):
        return data
    samples = keras.utils.unpack_x_y_sample_weight(data)
    if _in_memory(samples[0]):
        return _batches(task, samples, batch_size)
    return apply_preprocessing(data, task.preprocess_samples)


def _split(samples: tuple[Any, Any, Any], share: float) -> tuple[Any, Any]:
    """What comes before the last `share` of the samples, and that."""
    batches = InMemoryDataset(
        samples, 1, lambda *batch: batch, shuffle=False, noise=_no_noise
    )
    total = batches.num_samples
    first = int(np.floor(total * (1.0 - share)))
    if not 0 < first < total:
        raise ValueError(
            f"Expected `validation_split` to leave samples on both sides of "
            f"{total}. Received: validation_split={share}"
        )
    return batches.part(0, first), batches.part(first, total)
