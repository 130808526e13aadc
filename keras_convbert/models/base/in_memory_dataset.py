from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from keras_convbert.compat import PyDatasetAdapter
from keras_convbert.compat import owned_by_dataset
from keras_convbert.compat import weak_method
from keras_convbert.compat import without_autotune
from keras_convbert.text.columns import as_column
from keras_convbert.text.columns import columns_of
from keras_convbert.text.columns import map_columns

# Keras reads this many at most before it uses the first.
EARLY_BATCHES = 3


class InMemoryDataset(keras.utils.PyDataset):
    """Dataset of samples in memory, whose batches are preprocessed on demand.

    It needs no data library. Each pass over the samples has its own order. A
    pass may be longer than an epoch of `fit`, if `steps_per_epoch` is set.

    On some backends Keras reads batches ahead of their use. Orders and random
    numbers therefore depend on the pass and the batch index, not on the number
    of calls and not on the ends of epochs.

    Args:
        samples: tuple `(x, y, sample_weight)` of nested tuples and dicts of
            columns, or `None` for a missing part.
        batch_size: int. Samples per batch.
        preprocess: function from the parts of a batch to model inputs.
        shuffle: bool. Whether to shuffle the samples in each pass.
        noise: function from a pass and a batch index to a context manager,
            inside which `preprocess` is called.

    Attributes:
        epoch: int. The pass that the next iterator goes through, from 0.
        start_batch: int. The first batch of that pass to read; later passes
            start at 0.
    """

    def __init__(
        self,
        samples: tuple[Any, Any, Any],
        batch_size: int,
        preprocess: Callable[..., Any],
        shuffle: bool,
        noise: Callable[[int, int], AbstractContextManager[None]],
    ) -> None:
        super().__init__()
        self.samples = map_columns(as_array, samples)
        lengths = {len(leaf) for leaf in columns_of(self.samples)}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                "Expected `x`, `y` and `sample_weight` to hold the same "
                "number of samples, at least one. Received: "
                f"{sorted(lengths)} samples"
            )
        self.num_samples = lengths.pop()
        self.batch_size = batch_size
        self.preprocess = preprocess
        self.noise = noise
        # `keras.utils.set_random_seed` seeds the global generator.
        self.seed = np.random.randint(2**31) if shuffle else None
        self.epoch = self.start_batch = 0
        self._is_new = True
        self._read_early: dict[Any, Any] = {}

    def __len__(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        return self._batch(self.epoch, self._order(self.epoch), index)

    def __iter__(self) -> Iterator[Any]:
        """Yields the batches of a pass. The next iterator is of the next."""
        epoch, start = self.epoch, self.start_batch
        self.epoch, self.start_batch = epoch + 1, 0
        order = self._order(epoch)
        for index in range(start, len(self)):
            yield self._batch(epoch, order, index)

    def part(self, first: int, last: int) -> Any:
        """Returns samples `first` to `last - 1`, in their original order."""
        return map_columns(lambda leaf: leaf[first:last], self.samples)

    def on_epoch_end(self) -> None:
        # Keras calls this once before the first epoch of `fit`. It may have
        # read a batch to build the model, which is not a pass.
        if self._is_new:
            self.epoch = self.start_batch = 0
            self._is_new = False

    def _order(self, epoch: int) -> np.ndarray:
        order = np.arange(self.num_samples)
        if self.seed is not None:
            np.random.default_rng([self.seed, epoch]).shuffle(order)
        return order

    def _batch(self, epoch: int, order: np.ndarray, index: int) -> Any:
        # Keras reads the first batches for their shapes, and again to use them.
        key = self.seed, epoch, index
        if key in self._read_early:
            return self._read_early.pop(key)
        batch = self._preprocessed(epoch, order, index)
        if self._is_new and index < EARLY_BATCHES:
            self._read_early[key] = batch
        return batch

    def _preprocessed(self, epoch: int, order: np.ndarray, index: int) -> Any:
        first = index * self.batch_size
        indices = order[first : first + self.batch_size]
        batch = map_columns(lambda leaf: take(leaf, indices), self.samples)
        with self.noise(epoch, index):
            return as_arrays(self.preprocess(*batch))


def as_arrays(outputs: Any) -> Any:
    """Returns the outputs of a preprocessor as arrays, `None` unchanged."""
    return keras.tree.map_structure(
        lambda output: (
            None if output is None else keras.ops.convert_to_numpy(output)
        ),
        outputs,
    )


def as_array(leaf: Any) -> np.ndarray:
    """Returns a column as an array, whose entries are the samples."""
    leaf = as_column(leaf)
    if isinstance(leaf, np.ndarray):
        if leaf.dtype != object:
            return leaf
        leaf = leaf.tolist()
    if isinstance(leaf, list):
        if any(map(_is_object, leaf)) or len({*map(_length, leaf)}) > 1:
            array = np.empty(len(leaf), dtype=object)
            for i, entry in enumerate(leaf):
                array[i] = entry
            return array
        # The dtypes in which `tf.data` reads Python numbers.
        array = np.asarray(leaf)
        narrow = {"float64": "float32", "int64": "int32"}
        return array.astype(narrow.get(array.dtype.name, array.dtype))
    if hasattr(leaf, "numpy") and not keras.ops.is_tensor(leaf):
        # A string tensor of TensorFlow on another backend.
        return np.asarray(leaf.numpy())
    return np.asarray(keras.ops.convert_to_numpy(leaf))


def _is_object(entry: Any) -> bool:
    """Whether an entry must stay one object: a text, words or an array."""
    if isinstance(entry, (list, tuple)):
        return any(map(_is_object, entry))
    return isinstance(entry, (str, bytes, np.ndarray))


def _length(entry: Any) -> int | None:
    return len(entry) if isinstance(entry, (list, tuple)) else None


def take(leaf: np.ndarray, indices: Any) -> Any:
    """Returns entries of an array, strings and other objects as a list."""
    taken = leaf[indices]
    return taken.tolist() if taken.dtype.kind in "OUS" else taken


class InMemoryAdapter(PyDatasetAdapter):
    """Adapter that passes an `InMemoryDataset` to the Keras trainers.

    The Keras adapter wraps datasets in a PyTorch `DataLoader`. This draws from
    the global generator, once more in the first `fit` of a model than in
    others, and breaks reproducibility.

    The attributes define where the next iterator starts and in which order.
    Saving and restoring them resumes training within an epoch.
    """

    _get_iterator: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Keras makes a `tf.data` dataset of it.
        self._get_iterator = weak_method(self._get_iterator)

    @property
    def epoch(self) -> int:
        """The pass that the next iterator goes through."""
        return int(self.py_dataset.epoch)

    @epoch.setter
    def epoch(self, value: int) -> None:
        self.py_dataset.epoch = value

    @property
    def start_batch(self) -> int:
        """The first batch of that pass to read."""
        return int(self.py_dataset.start_batch)

    @start_batch.setter
    def start_batch(self, value: int) -> None:
        self.py_dataset.start_batch = value

    @property
    def seed(self) -> int | None:
        """The seed of the shuffled order; `None` if not shuffled."""
        seed: int | None = self.py_dataset.seed
        return seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        self.py_dataset.seed = value

    def _finite_generator(self) -> Iterator[Any]:
        for batch in self.py_dataset:
            yield self._standardize_batch(batch)

    def get_tf_dataset(self) -> Any:
        dataset = without_autotune(super().get_tf_dataset())
        return owned_by_dataset(self, dataset)

    def get_torch_dataloader(self) -> Iterator[Any]:
        for batch in self._get_iterator():
            yield keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
