import contextlib
import math
from contextlib import AbstractContextManager
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_convbert.compat import apply_preprocessing
from keras_convbert.models.base.in_memory_dataset import InMemoryAdapter
from keras_convbert.models.base.in_memory_dataset import InMemoryDataset
from keras_convbert.models.base.in_memory_dataset import leaves_of
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.types import Mixin

BATCH_SIZE = 32


class Trainer(Mixin):
    """`fit`, `evaluate` and `predict` of tasks.

    KerasHub converts in-memory samples to a dataset that is never shuffled,
    and needs `grain` or TensorFlow for this. These methods use
    `InMemoryDataset` instead, and pass datasets on to KerasHub.
    """

    def fit(
        self,
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
            x: samples: texts (a list, an array or a tensor), a tuple of two
                of these for pairs, or a dict of arrays if the task has no
                preprocessor; or a `tf.data`, `grain` or
                `keras.utils.PyDataset` dataset. Batches of a `PyDataset` are
                not preprocessed. Defaults to `None`.
            y: labels, unless `x` is a dataset. Defaults to `None`.
            batch_size: int. Samples per step; `None` is 32. Defaults to
                `None`.
            sample_weight: weights, unless `x` is a dataset. Defaults to
                `None`.
            validation_data: tuple of `x`, `y` and optionally `sample_weight`,
                or a dataset. Defaults to `None`.
            validation_split: float. Fraction of the samples to validate on,
                taken from the end. Defaults to `None`.
            **kwargs: arguments of `keras.Model.fit`; `shuffle=True` gives
                samples in memory a new order in each epoch.

        Returns:
            A `keras.callbacks.History`.
        """
        check_fits(self.backbone, self.preprocessor)
        if self.compiled and self.optimizer and not self.optimizer.built:
            # TensorFlow traces a step twice if the first creates variables.
            self.optimizer.build(self.trainable_variables)
        if not (_in_memory(x) or isinstance(x, keras.utils.PyDataset)):
            return super().fit(
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
                self,
                (x, y, sample_weight),
                batch_size,
                shuffle=kwargs.pop("shuffle", True),
                class_weight=kwargs.pop("class_weight", None),
            )
            # The dataset shuffles; Keras would warn that it cannot.
            kwargs["shuffle"] = False
        if validation_data is not None:
            validation_data = _prepare(self, validation_data, batch_size)
        return keras.Model.fit(
            self, x, validation_data=validation_data, **kwargs
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Returns the loss and metrics on samples, given as to `fit`.

        Args:
            x: samples, or a dataset. Defaults to `None`.
            y: labels, unless `x` is a dataset. Defaults to `None`.
            batch_size: int. Samples per step; `None` is 32. Defaults to
                `None`.
            sample_weight: weights, unless `x` is a dataset. Defaults to
                `None`.
            **kwargs: arguments of `keras.Model.evaluate`.

        Returns:
            As `keras.Model.evaluate` does.
        """
        check_fits(self.backbone, self.preprocessor)
        if _in_memory(x):
            x = _batches(self, (x, y, sample_weight), batch_size)
        if isinstance(x, (keras.utils.PyDataset, InMemoryAdapter)):
            return keras.Model.evaluate(self, x, **kwargs)
        return super().evaluate(x, y, batch_size, sample_weight, **kwargs)

    def predict(
        self,
        x: Any = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Returns the outputs for samples, given as to `fit`.

        Args:
            x: samples, or a dataset. Defaults to `None`.
            batch_size: int. Samples per step; `None` is 32. Defaults to
                `None`.
            **kwargs: arguments of `keras.Model.predict`.

        Returns:
            Arrays, as `keras.Model.predict` does.
        """
        check_fits(self.backbone, self.preprocessor)
        if _in_memory(x):
            x = _batches(self, (x, None, None), batch_size)
        if isinstance(x, (keras.utils.PyDataset, InMemoryAdapter)):
            return keras.Model.predict(self, x, **kwargs)
        return super().predict(x, batch_size, **kwargs)


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
    """Raises `ValueError` for text if the task has no preprocessor."""
    if task.preprocessor is None:
        for leaf in leaves_of(x):
            if isinstance(leaf, list) and leaf and isinstance(leaf[0], str):
                raise ValueError(
                    "Expected arrays of token ids, since the task has no "
                    "preprocessor. To train on text, pass `preprocessor=` to "
                    f"the task. Received: strings such as x[0]={leaf[0]!r}"
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


def _split(samples: tuple[Any, Any, Any], fraction: float) -> tuple[Any, Any]:
    """Splits off the last `fraction` of the samples."""
    batches = InMemoryDataset(
        samples, 1, lambda *batch: batch, shuffle=False, noise=_no_noise
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
    leaves = leaves_of(x)
    if leaves and hasattr(leaves[0], "__len__"):
        return math.ceil(len(leaves[0]) / (batch_size or BATCH_SIZE))
    return None
