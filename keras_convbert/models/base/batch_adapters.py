"""Adapters that pass batches of text from other sources to Keras."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import keras

from keras_convbert.compat import GeneratorDataAdapter
from keras_convbert.compat import PyDatasetAdapter
from keras_convbert.compat import dataset_of_stream
from keras_convbert.compat import owned_by_dataset
from keras_convbert.compat import weak_method
from keras_convbert.compat import without_autotune


class TextPyDatasetAdapter(PyDatasetAdapter):
    """Adapter of a `PyDataset`, whose workers read and which preprocesses.

    Args:
        dataset: a `keras.utils.PyDataset`.
        read: function from a batch to a tuple of arrays.
        shuffle: bool. Whether to shuffle the batches in each epoch.
    """

    _get_iterator: Any

    def __init__(
        self,
        dataset: keras.utils.PyDataset,
        read: Callable[[Any], tuple[Any, ...]],
        shuffle: bool,
    ) -> None:
        super().__init__(dataset, shuffle=shuffle)
        self._read = read
        # Keras makes a `tf.data` dataset of it.
        self._get_iterator = weak_method(self._get_iterator)

    def _standardize_batch(self, batch: Any) -> Any:
        return self._read(batch)

    def get_tf_dataset(self) -> Any:
        return owned_by_dataset(self, super().get_tf_dataset())

    def get_torch_dataloader(self) -> Iterator[Any]:
        return _tensors(self._get_iterator())


class StreamAdapter(GeneratorDataAdapter):
    """Adapter of an iterable of batches, such as a PyTorch `DataLoader`.

    Each epoch starts a new iterator. The batches of an iterator, such as a
    generator, go on where the last epoch stopped.

    Args:
        stream: an iterable of batches.
        read: function from a batch to a tuple of arrays.
    """

    def __init__(
        self, stream: Iterable[Any], read: Callable[[Any], tuple[Any, ...]]
    ) -> None:
        super().__init__(map(read, stream))
        if not isinstance(stream, Iterator):
            self.generator = lambda: map(read, stream)
        self._stream = stream

    def get_tf_dataset(self) -> Any:
        dataset = without_autotune(dataset_of_stream(self))
        return owned_by_dataset(self, dataset)

    def get_torch_dataloader(self) -> Iterator[Any]:
        return _tensors(self.batches())

    def batches(self) -> Iterator[Any]:
        """Returns the batches of the next epoch."""
        batches: Iterable[Any] = self.generator()  # type: ignore[no-untyped-call]
        return iter(batches)

    @property
    def num_batches(self) -> int | None:
        if isinstance(self._stream, Iterator):
            return None
        try:
            return len(self._stream)  # type: ignore[arg-type]
        except TypeError:
            # Also from a `DataLoader` of a dataset without a length.
            return None


def _tensors(batches: Iterable[Any]) -> Iterator[Any]:
    """Yields batches as tensors.

    The `DataLoader` of Keras draws from the global generator of PyTorch, and
    so changes dropout.
    """
    for batch in batches:
        yield keras.tree.map_structure(
            keras.ops.convert_to_tensor, batch, none_is_leaf=False
        )
