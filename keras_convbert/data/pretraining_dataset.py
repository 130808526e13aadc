from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_convbert.compat import DataAdapter
from keras_convbert.compat import owned_by_dataset
from keras_convbert.compat import weak_method
from keras_convbert.compat import without_autotune
from keras_convbert.data.manifest import Manifest
from keras_convbert.data.manifest import hash_tokenizer
from keras_convbert.data.row_inputs import inputs_of_packed_rows
from keras_convbert.data.row_inputs import inputs_of_rows
from keras_convbert.data.row_maker import LENGTH_COLUMNS
from keras_convbert.data.shards import open_shard
from keras_convbert.data.shuffle import shuffled
from keras_convbert.files import AnyPath
from keras_convbert.models.base.word_piece_tokenizer import WordPieceTokenizer
from keras_convbert.types import Tensor

INPUTS = ("token_ids", "segment_ids", "padding_mask")


class PretrainingDataset(keras.utils.PyDataset, DataAdapter):
    """Batches of training sequences from a folder of shards.

    Pass it to `ConvBertPretrainer.fit`, on any backend. It uses TensorFlow
    only if that is the backend, and keeps no rows in memory.

    A batch is a function of `seed`, epoch and index only, so that
    `batch(epoch, index)` always returns the same. The argument `shuffle` of
    `fit` has no effect: Keras would shuffle a `PyDataset` by a global
    generator, and this dataset is its own `DataAdapter`.

    `fit` takes the batches of the epoch `dataset.epoch`, which increases by
    one at the last batch. `training.BackupAndResume` resumes training at any
    step. To resume at the start of an epoch without it, set `epoch`, or
    `start_epoch`, to the `initial_epoch` of `fit`. For evaluation use another
    dataset, with the same batches each time: `part=(0.99, 1.0),
    shuffle=False, drop_remainder=False`.

    Args:
        directory: path of a folder that `prepare` has written.
        batch_size: int. Number of rows per batch.
        seed: int. Seed of the order. Defaults to `0`.
        part: tuple of two floats. The fractions of the rows at which the part
            to use starts and ends. Rows are in the order of documents, so two
            parts that do not overlap have at most one document in common (if
            packed, at most the documents of 64 rows). Defaults to
            `(0.0, 1.0)`.
        shuffle: bool. Whether to shuffle the rows anew in each epoch. Defaults
            to `True`.
        drop_remainder: bool. Whether to drop the last batch of an epoch if it
            is not full. Defaults to `True`.
        start_epoch: int. The first epoch. Defaults to `0`.

    Attributes:
        epoch: int. The epoch that `fit` takes next, and that indexing refers
            to.
        start_batch: int. The first batch of that epoch; later epochs start at
            0.
        num_rows: int. Number of rows in use.
        sequence_length: int. Length of a row.
        vocabulary_size: int. Number of tokens of the tokenizer.
        mask_token_id: int. Id of `[MASK]`.
        special_token_ids: list of ints. Ids that are never masked.
        gap: int. Padding positions between the sequences of a packed row;
            `None` if rows are not packed.

    Output shape:
        dict of int32 arrays `token_ids`, `segment_ids` and `padding_mask`,
        each `(batch_size, sequence_length)`. In packed rows the mask numbers
        the sequences from 1, as a backbone with `packed=True` expects.

    Raises:
        FileNotFoundError: if the folder has no manifest.
        ValueError: if a shard is missing or damaged, if an argument is out of
            its range, or if there are too few rows for a batch.

    Example:

    ```python
    import pathlib
    import tempfile

    from keras_convbert.data import PretrainingDataset
    from keras_convbert.data import prepare
    from keras_convbert.models import ConvBertTokenizer

    folder = pathlib.Path(tempfile.mkdtemp())
    corpus = folder / "corpus.txt"
    corpus.write_text("a b a\\nb b\\n\\nb a a\\n")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    tokenizer = ConvBertTokenizer(tokens)
    prepare(corpus, tokenizer, folder / "shards", sequence_length=16)
    dataset = PretrainingDataset(folder / "shards", batch_size=2)
    dataset.batch(epoch=3, index=0)["token_ids"]
    ```
    """

    def __init__(
        self,
        directory: AnyPath,
        batch_size: int,
        seed: int = 0,
        part: tuple[float, float] = (0.0, 1.0),
        shuffle: bool = True,
        drop_remainder: bool = True,
        start_epoch: int = 0,
    ) -> None:
        super().__init__()
        _check_arguments(batch_size, seed, part, start_epoch)
        manifest = Manifest.read(directory)
        self.directory = directory
        self.seed = seed
        self.part = part
        self.shuffle = shuffle
        self.drop_remainder = drop_remainder
        self.epoch = start_epoch
        self.start_batch = 0
        self.sequence_length = manifest.sequence_length
        self.vocabulary_size = manifest.vocabulary_size
        self.mask_token_id = manifest.mask_token_id
        self.special_token_ids = manifest.special_token_ids
        self.gap = manifest.packing and manifest.packing.gap
        self._manifest = manifest
        self._row_width = manifest.sequence_length
        if not manifest.packing:
            self._row_width += LENGTH_COLUMNS
        self._batch_size = batch_size
        self._first_row, stop = (
            round(fraction * manifest.rows) for fraction in part
        )
        self.num_rows = stop - self._first_row
        self._shard_starts = np.cumsum([0, *manifest.shards])
        self._shards: dict[int, np.ndarray] = {}
        for number in range(len(manifest.shards)):
            self._open_shard(number)
        if not len(self):
            raise ValueError(
                "Expected rows for at least one batch. Received: "
                f"batch_size={batch_size}, part={part} of {manifest.rows} rows"
            )

    def batch(self, epoch: int, index: int) -> dict[str, np.ndarray]:
        """Returns a batch of an epoch.

        Args:
            epoch: int. The epoch, from 0.
            index: int. The batch, from 0 to `len(dataset) - 1`.

        Raises:
            IndexError: if there is no such batch.
        """
        if not 0 <= index < len(self):
            raise IndexError(
                f"Expected an index from 0 to {len(self) - 1}. "
                f"Received: index={index}"
            )
        start = index * self._batch_size
        stop = min(start + self._batch_size, self.num_rows)
        positions = np.arange(start, stop)
        if self.shuffle:
            positions = shuffled(positions, self.num_rows, [self.seed, epoch])
        return self._inputs(self._rows(self._first_row + positions))

    def check_tokenizer(self, tokenizer: WordPieceTokenizer) -> None:
        """Checks that a tokenizer is the one that made the rows.

        Args:
            tokenizer: a `ConvBertTokenizer`.

        Raises:
            ValueError: if the rows were made with another vocabulary or other
                settings.
        """
        if hash_tokenizer(tokenizer) != self._manifest.tokenizer_hash:
            raise ValueError(
                f"Expected the tokenizer that {str(self.directory)!r} was "
                f"prepared with, of {self.vocabulary_size} tokens. Received: "
                f"a tokenizer of {tokenizer.vocabulary_size()} tokens with "
                "another vocabulary, `lowercase` or `strip_accents`"
            )

    def __len__(self) -> int:
        full, rest = divmod(self.num_rows, self._batch_size)
        return full + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self.batch(self.epoch, index)

    def __getstate__(self) -> dict[str, Any]:
        # Pickle would copy the memory-mapped arrays.
        return {**self.__dict__, "_shards": {}}

    @property
    def batch_size(self) -> int:
        """Number of rows per batch."""
        return self._batch_size

    def get_numpy_iterator(self) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of an epoch, for Keras."""
        epoch = self.epoch
        for index in range(self.start_batch, len(self)):
            batch = self.batch(epoch, index)
            # The epoch is counted here, as Keras takes no batch after the last
            # one. To build a model, Keras takes a first batch: with one batch
            # per epoch this counts as an epoch too.
            if index == len(self) - 1:
                self.epoch, self.start_batch = epoch + 1, 0
            yield batch

    def get_jax_iterator(self) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches of an epoch, for Keras on JAX."""
        return self.get_numpy_iterator()

    def get_torch_dataloader(self) -> Iterator[dict[str, Tensor]]:
        """Yields the batches of an epoch, for Keras on PyTorch."""
        for batch in self.get_numpy_iterator():
            yield {
                name: keras.ops.convert_to_tensor(array)
                for name, array in batch.items()
            }

    def get_tf_dataset(self) -> Any:
        """Returns the batches of an epoch, for Keras on TensorFlow."""
        import tensorflow as tf

        rows = self._batch_size if self.drop_remainder else None
        spec = tf.TensorSpec((rows, self.sequence_length), "int32")
        # No prefetching: Keras creates iterators that it does not use, and
        # they must not count as epochs.
        dataset = tf.data.Dataset.from_generator(
            weak_method(self.get_numpy_iterator),
            output_signature={name: spec for name in INPUTS},
        )
        return owned_by_dataset(self, without_autotune(dataset))

    def _inputs(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        packing = self._manifest.packing
        if packing is None:
            return inputs_of_rows(rows)
        return inputs_of_packed_rows(
            rows,
            self._manifest.pad_token_id,
            packing.start_token_id,
            packing.end_token_id,
        )

    def _rows(self, numbers: np.ndarray) -> np.ndarray:
        rows = np.empty((len(numbers), self._row_width), self._manifest.dtype)
        shards = np.searchsorted(self._shard_starts, numbers, "right") - 1
        for shard in np.unique(shards):
            here = shards == shard
            within = numbers[here] - self._shard_starts[shard]
            rows[here] = self._open_shard(int(shard))[within]
        return rows

    def _open_shard(self, number: int) -> np.ndarray:
        if number not in self._shards:
            shape = (self._manifest.shards[number], self._row_width)
            self._shards[number] = open_shard(
                self.directory, number, shape, self._manifest.dtype
            )
        return self._shards[number]


def _check_arguments(
    batch_size: int, seed: int, part: tuple[float, float], start_epoch: int
) -> None:
    if batch_size < 1 or seed < 0 or start_epoch < 0:
        raise ValueError(
            "Expected `batch_size` of at least 1, `seed` and `start_epoch` of "
            f"at least 0. Received: batch_size={batch_size}, seed={seed}, "
            f"start_epoch={start_epoch}"
        )
    if len(part) != 2 or not 0 <= part[0] < part[1] <= 1:
        raise ValueError(
            "Expected `part` to be two fractions from 0 to 1, the first less "
            f"than the second. Received: part={part}"
        )
