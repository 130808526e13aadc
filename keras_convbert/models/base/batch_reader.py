from typing import Any

import keras
import numpy as np

from keras_convbert.compat import class_weight_to_sample_weights
from keras_convbert.models.base.in_memory_dataset import as_array
from keras_convbert.models.base.in_memory_dataset import as_arrays
from keras_convbert.models.base.in_memory_dataset import take
from keras_convbert.text.columns import as_column
from keras_convbert.text.columns import columns_of
from keras_convbert.text.columns import first_missing
from keras_convbert.text.columns import is_column
from keras_convbert.text.columns import is_table
from keras_convbert.text.columns import map_columns

BATCHES = (
    "Expected batches, each `x`, `(x, y)` or `(x, y, sample_weight)`, where "
    "`x` has one entry per sample, such as a list of strings. If these are "
    "samples, pass them as a list: `x=list(texts)`. Received"
)


class BatchReader:
    """Reads samples and batches of samples for a task.

    Args:
        task: a task.
        class_weight: dict of the weights of classes; `None` for none.
            Defaults to `None`.
    """

    def __init__(self, task: Any, class_weight: Any = None) -> None:
        self._task = task
        self._class_weight = class_weight
        preprocessor = task.preprocessor
        self._takes_words = getattr(preprocessor, "takes_words", False)

    @property
    def weighs_classes(self) -> bool:
        """Whether the task applies class weights itself, not Keras."""
        return self._class_weight is not None and hasattr(
            self._task, "weigh_classes"
        )

    def read_samples(
        self, x: Any, y: Any, sample_weight: Any
    ) -> tuple[Any, Any, Any]:
        """Returns checked samples, with lists, arrays or tensors as columns.

        Raises:
            ValueError: if `x` is a table, a value is missing, or `x` is text
                and the task has no preprocessor.
        """
        for column in columns_of(x):
            if is_table(column):
                raise ValueError(
                    "Expected columns, such as `x=table['text']` and "
                    "`y=table['label']`, not a whole table. "
                    f"Received: x of type {type(column).__name__}"
                )
        samples = {"x": x, "y": y, "sample_weight": sample_weight}
        for name, part in samples.items():
            if isinstance(part, tuple) and (name != "x" or self._takes_words):
                # Only texts come in pairs.
                part = list(part)
            samples[name] = map_columns(as_column, part)
            for column in columns_of(samples[name]):
                if name == "sample_weight":
                    _check_weights(column)
                missing = first_missing(column)
                if missing is not None:
                    raise ValueError(
                        f"Expected `{name}` without missing values. "
                        f"Received: {name}[{missing}]=None"
                    )
        if not self._takes_words and _holds_pairs(samples["x"]):
            raise ValueError(
                "Expected a list of strings. Pairs are a tuple of the first "
                "and the second texts: `x=(first, second)`. "
                f"Received: x[0]={samples['x'][0]!r:.80}"
            )
        if self._task.preprocessor is None and _is_text(samples["x"]):
            raise ValueError(
                "Expected arrays of token ids, since the task has no "
                "preprocessor. To train on text, pass `preprocessor=` to "
                f"the task. Received: x with strings, x={samples['x']!r:.80}"
            )
        return samples["x"], samples["y"], samples["sample_weight"]

    def read_batch(self, batch: Any) -> tuple[Any, ...]:
        """Returns a batch as arrays, preprocessed if it contains text.

        Raises:
            ValueError: as `read_samples`, or if it is a single sample.
        """
        x, y, sample_weight = self._unpack(batch)
        samples: Any = self.read_samples(x, y, sample_weight)
        samples = map_columns(as_array, samples)
        if _is_text(samples[0]) or (
            self._takes_words and not isinstance(samples[0], dict)
        ):
            samples = self._preprocess(
                *map_columns(lambda leaf: take(leaf, ...), samples)
            )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(samples)
        if self._class_weight is not None:
            x, y, sample_weight = self._weigh(x, y, sample_weight)
        if sample_weight is not None:
            return x, y, sample_weight
        return (x,) if y is None else (x, y)

    def weigh_classes(self, data: Any) -> Any:
        """Applies class weights to preprocessed data, if the task does so."""
        if not self.weighs_classes:
            return data
        return self._task.weigh_classes(*data, class_weight=self._class_weight)

    def _weigh(self, x: Any, y: Any, sample_weight: Any) -> Any:
        if y is None:
            raise ValueError(
                "Expected batches with labels, since there are class weights. "
                f"Received: y=None, class_weight={self._class_weight}"
            )
        if self.weighs_classes:
            return self.weigh_classes((x, y, sample_weight))
        if sample_weight is not None:
            raise ValueError(
                "Expected either `class_weight` or sample weights, not both. "
                f"Received: class_weight={self._class_weight}"
            )
        weights = class_weight_to_sample_weights(y, self._class_weight)
        return x, y, weights

    def _preprocess(self, x: Any, y: Any, sample_weight: Any) -> Any:
        preprocessor = self._task.preprocessor
        if not hasattr(preprocessor, "to_windows"):
            return as_arrays(self._task.preprocess_samples(x, y, sample_weight))
        windows = preprocessor.to_windows(x, y, sample_weight)
        return as_arrays(preprocessor.collate(*windows))

    def _unpack(self, batch: Any) -> tuple[Any, Any, Any]:
        parts: Any = (batch,)
        if isinstance(batch, dict) and any(
            is_column(column) and _holds_text(column)
            for column in columns_of(batch)
        ):
            raise ValueError(
                "Expected batches as tuples `(x, y)`, not dicts of columns. "
                "In a PyTorch `DataLoader`, pass `collate_fn=`, a function "
                f"that returns such a tuple. Received: keys {[*batch]}"
            )
        if isinstance(batch, (tuple, list)):
            if not _is_flat(batch):
                parts = tuple(batch)
            elif not all(isinstance(text, (str, bytes)) for text in batch):
                # Such as a text and its label.
                raise ValueError(f"{BATCHES} a single sample: {batch!r:.80}")
        if len(parts) > 3:
            parts = (batch,)
        x = parts[0]
        if isinstance(x, list) and not self._takes_words and not _is_flat(x):
            # A `DataLoader` makes lists of the first and the second texts.
            x = tuple(x)
        columns = columns_of(x)
        if not columns or not all(
            is_column(column) or is_table(column) for column in columns
        ):
            raise ValueError(f"{BATCHES} a single sample: {batch!r:.80}")
        return keras.utils.unpack_x_y_sample_weight((x, *parts[1:]))


def _check_weights(column: Any) -> None:
    """Raises `ValueError` if a weight of a sample is not finite."""
    numbers = isinstance(column, np.ndarray) or (
        isinstance(column, list) and not any(map(_is_nested, column))
    )
    array = np.asarray(column) if numbers else np.zeros(0)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        index = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValueError(
            "Expected finite weights. Received: "
            f"sample_weight[{index}]={array[index]}"
        )


def _is_nested(entry: Any) -> bool:
    return isinstance(entry, (list, tuple, np.ndarray))


def _holds_pairs(x: Any) -> bool:
    return (
        isinstance(x, list)
        and bool(x)
        and isinstance(x[0], (list, tuple))
        and any(isinstance(entry, (str, bytes)) for entry in x[0])
    )


def _is_flat(values: Any) -> bool:
    return is_column(tuple(values))


def _is_text(x: Any) -> bool:
    """Whether the columns of samples hold strings or lists of strings."""
    return any(_holds_text(column) for column in columns_of(x))


def _holds_text(values: Any) -> bool:
    if isinstance(values, (str, bytes)):
        return True
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values.dtype.kind in "US"
    if isinstance(values, (list, np.ndarray)):
        return any(_holds_text(entry) for entry in values)
    return "string" in str(getattr(values, "dtype", ""))
