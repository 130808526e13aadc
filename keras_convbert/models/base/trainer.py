from typing import Any

import keras

from keras_convbert.compat import CACHED_EVALUATION
from keras_convbert.compat import DataAdapter
from keras_convbert.compat import DistributedBuild
from keras_convbert.compat import build_optimizer
from keras_convbert.models.base.batch_prediction import predict_rows
from keras_convbert.models.base.batch_prediction import predict_samples
from keras_convbert.models.base.batch_reader import BatchReader
from keras_convbert.models.base.empty_batches import is_empty
from keras_convbert.models.base.in_memory_dataset import InMemoryAdapter
from keras_convbert.models.base.in_memory_dataset import as_arrays
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.base.training_data import as_data
from keras_convbert.models.base.training_data import as_samples
from keras_convbert.models.base.training_data import as_validation_data
from keras_convbert.models.base.training_data import check_has_labels
from keras_convbert.models.base.training_data import in_memory
from keras_convbert.models.base.training_data import split
from keras_convbert.text.columns import as_column
from keras_convbert.text.columns import map_columns


class Trainer(DistributedBuild):
    """`fit`, `evaluate` and `predict` of tasks.

    KerasHub converts in-memory samples to a dataset that is never shuffled,
    and needs `grain` or TensorFlow for this. These methods use
    `InMemoryDataset` instead, read batches of other sources themselves, and
    pass datasets on to KerasHub.
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
            x: samples in memory: texts as a list, a tuple, an array, a tensor
                or a column of `datasets`, pandas, polars or pyarrow; a tuple
                of two of these for pairs; or a dict of arrays if the task has
                no preprocessor. Or batches of samples: a `tf.data` or `grain`
                dataset, a `keras.utils.PyDataset`, a PyTorch `DataLoader` or
                another iterable, such as a generator. Batches of a
                `PyDataset`, a `DataLoader` and an iterable are preprocessed
                if they contain text. Defaults to `None`.
            y: labels, unless `x` is a dataset. Defaults to `None`.
            batch_size: int. Samples per step; `None` is 32. Defaults to
                `None`.
            sample_weight: weights, unless `x` is a dataset. Defaults to
                `None`.
            validation_data: tuple of `x`, `y` and optionally `sample_weight`,
                or a dataset. Defaults to `None`.
            validation_split: float. Fraction of the samples to validate on,
                taken from the end. Defaults to `None`.
            **kwargs: arguments of `keras.Model.fit`; `class_weight` of a
                classifier may have names of classes; `shuffle=True` gives
                samples in memory, and the batches of a `PyDataset`, a new
                order in each epoch.

        Returns:
            A `keras.callbacks.History`.
        """
        check_fits(self.backbone, self.preprocessor)
        class_weight = kwargs.get("class_weight")
        if class_weight is not None and hasattr(self, "read_class_weight"):
            kwargs["class_weight"] = self.read_class_weight(class_weight)
        if self.compiled and self.optimizer and not self.optimizer.built:
            # TensorFlow traces a step twice if the first creates variables.
            build_optimizer(self)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split(
                self, (x, y, sample_weight), validation_split
            )
        check_has_labels(self, x, y)
        data = as_data(
            self,
            (x, y, sample_weight),
            batch_size,
            shuffle=kwargs.get("shuffle", True),
            class_weight=kwargs.get("class_weight"),
        )
        if data is None:
            if in_memory(validation_data):
                validation_data = BatchReader(self).read_samples(
                    *as_samples(validation_data)
                )
            return super().fit(
                x,
                y,
                batch_size,
                sample_weight,
                validation_data,
                validation_split,
                **kwargs,
            )
        if isinstance(data, DataAdapter) or hasattr(self, "weigh_classes"):
            # The data has these weights already.
            kwargs.pop("class_weight", None)
        if isinstance(data, DataAdapter):
            # The adapter shuffles; Keras would warn that it cannot.
            kwargs["shuffle"] = False
        if validation_data is not None:
            validation_data = as_validation_data(
                self, validation_data, batch_size
            )
        return keras.Model.fit(
            self, data, validation_data=validation_data, **kwargs
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
        if CACHED_EVALUATION in kwargs:
            # `fit` has read the validation data.
            return keras.Model.evaluate(self, x, **kwargs)
        check_fits(self.backbone, self.preprocessor)
        check_has_labels(self, x, y)
        data = as_data(self, (x, y, sample_weight), batch_size)
        if data is None:
            return super().evaluate(x, y, batch_size, sample_weight, **kwargs)
        return keras.Model.evaluate(self, data, **kwargs)

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
            Arrays, as `keras.Model.predict` does; without samples they have
            no rows.
        """
        check_fits(self.backbone, self.preprocessor)
        if in_memory(x) and is_empty(x):
            return self.predict_on_batch(x)
        data = as_data(self, (x, None, None), batch_size)
        if data is None:
            return super().predict(x, batch_size, **kwargs)
        # Callbacks see the outputs of each batch.
        if isinstance(data, InMemoryAdapter) and not kwargs.get("callbacks"):
            return predict_samples(self, data, **kwargs)
        return keras.Model.predict(self, data, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """Returns the outputs for one batch of samples.

        Args:
            x: samples in memory, given as to `fit`.

        Returns:
            Arrays, as `keras.Model.predict_on_batch` does.
        """
        data = self.preprocess_samples(x)
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return predict_rows(self, as_arrays(x))

    def preprocess_samples(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> Any:
        x, y, sample_weight = (
            map_columns(_as_part, part) for part in (x, y, sample_weight)
        )
        return super().preprocess_samples(x, y, sample_weight)


def _as_part(values: Any) -> Any:
    """Returns a column as a list or an array, a pair of strings unchanged."""
    return values if isinstance(values, tuple) else as_column(values)
