from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_convbert.compat import DataAdapter
from keras_convbert.compat import without_autotune
from keras_convbert.data.manifest import Manifest
from keras_convbert.data.manifest import hash_tokenizer
from keras_convbert.data.row_inputs import inputs_of_packed_rows
from keras_convbert.data.row_inputs import inputs_of_rows
from keras_convbert.data.row_maker import LENGTH_COLUMNS
from keras_convbert.data.shards import open_shard
from keras_convbert.data.shuffle import shuffled
from keras_convbert.files import AnyPath
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.types import Tensor

INPUTS = ("token_ids", "segment_ids", "padding_mask")


class PretrainingDataset(keras.utils.PyDataset, DataAdapter):
    """Batches of training sequences from a folder of shards.

    Give it to `ConvBertPretrainer.fit`, on any backend. It needs no
    TensorFlow but on that backend, and holds no rows in memory.

    The order of its batches is a function of `seed`, epoch and index alone:
    `batch(epoch, index)` is the same at any time. Keras would shuffle the
    batches of a `PyDataset` by a generator that others draw from too; as this
    one is its own `DataAdapter`, `shuffle` in `fit` has no effect on it.

    `fit` gets the batches of the epoch `dataset.epoch`, which goes up by one
    when the last of them was given out. `training.BackupAndResume` resumes a
    training at any step. To do so by hand, at the start of an epoch, set
    `epoch`, or `start_epoch`, to the `initial_epoch` of `fit`. So that
    evaluation changes nothing, give it a dataset of its own, whose batches
    are the same each time: `part=(0.99, 1.0), shuffle=False,
    drop_remainder=False`.

    Args:
        directory: path of a folder that `prepare` has written.
        batch_size: int. Rows in a batch.
        seed: int. Seed of the order. Defaults to `0`.
        part: tuple of two floats. Which rows to use, from and to which share
            of them. Rows are in the order of the documents, so that two parts
            which do not overlap have at most one document in common (of packed
            rows, at most as many as 64 rows hold). Defaults to `(0.0, 1.0)`.
        shuffle: bool. Whether to give out the rows in an order that is new in
            each epoch, instead of their own. Defaults to `True`.
        drop_remainder: bool. Whether to leave out the last batch of an epoch
            if it is not full. Defaults to `True`.
        start_epoch: int. The first epoch. Defaults to `0`.

    Attributes:
        epoch: int. The epoch that `fit` gets next, and that indexing refers
            to.
        start_batch: int. The batch with which that epoch begins; 0 for all
            that follow.
        num_rows: int. Number of rows in use.
        sequence_length: int. Length of a row.
        vocabulary_size: int. Number of tokens of the tokenizer.
        mask_token_id: int. Id of `[MASK]`.
        special_token_ids: list of ints. Ids that are never hidden.
        gap: int. Positions of padding between the sequences of a packed row;
            `None` if rows are not packed.

    Output shape:
        dict of int32 arrays `token_ids`, `segment_ids` and `padding_mask`,
        each `(batch_size, sequence_length)`. In packed rows the mask numbers
        the sequences, from 1, as a backbone of `packed=True` wants it.

    Raises:
        FileNotFoundError: if the folder has no manifest.
        ValueError: if a shard is missing or damaged, if an argument is out of
            its range, or if there is no batch.

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
        self._first_row, stop = (round(share * manifest.rows) for share in part)
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
        """The batch at a place in an epoch.

        Args:
            epoch: int, at least 0.
            index: int, from 0 to `len(dataset) - 1`.
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

    def check_tokenizer(self, tokenizer: ConvBertTokenizer) -> None:
        """Makes sure that the rows were made by a tokenizer.

        Args:
            tokenizer: a `ConvBertTokenizer`.

        Raises:
            ValueError: if they were made by one with another vocabulary or
                other settings.
        """
        if hash_tokenizer(tokenizer) != self._manifest.tokenizer_hash:
            raise ValueError(
                f"Expected the tokenizer that {str(self.directory)!r} was "
                f"prepared with, of {self.vocabulary_size} tokens. Received: "
                f"one of {tokenizer.vocabulary_size()} tokens that differs in "
                "them, or in `lowercase` or `strip_accents`"
            )

    def __len__(self) -> int:
        full, rest = divmod(self.num_rows, self._batch_size)
        return full + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self.batch(self.epoch, index)

    def __getstate__(self) -> dict[str, Any]:
        # Memory-mapped arrays pickle as copies of what they map.
        return {**self.__dict__, "_shards": {}}

    @property
    def batch_size(self) -> int:
        """Rows in a batch."""
        return self._batch_size

    def get_numpy_iterator(self) -> Iterator[dict[str, np.ndarray]]:
        """The batches of an epoch, for Keras."""
        epoch = self.epoch
        for index in range(self.start_batch, len(self)):
            batch = self.batch(epoch, index)
            # Counted with the last batch, as Keras asks for no more. It also
            # takes a first batch to look at, if a model is not built: of
            # epochs with a single batch, that one counts too.
            if index == len(self) - 1:
                self.epoch, self.start_batch = epoch + 1, 0
            yield batch

    def get_jax_iterator(self) -> Iterator[dict[str, np.ndarray]]:
        """The batches of an epoch, for Keras on JAX."""
        return self.get_numpy_iterator()

    def get_torch_dataloader(self) -> Iterator[dict[str, Tensor]]:
        """The batches of an epoch, for Keras on PyTorch."""
        for batch in self.get_numpy_iterator():
            yield {
                name: keras.ops.convert_to_tensor(array)
                for name, array in batch.items()
            }

    def get_tf_dataset(self) -> Any:
        """The batches of an epoch, for Keras on TensorFlow."""
        import tensorflow as tf

        rows = self._batch_size if self.drop_remainder else None
        spec = tf.TensorSpec((rows, self.sequence_length), "int32")
        # Without prefetching: Keras makes iterators that it does not use, and
        # those must not count as epochs.
        dataset = tf.data.Dataset.from_generator(
            self.get_numpy_iterator,
            output_signature={name: spec for name in INPUTS},
        )
        return without_autotune(dataset)

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
            "Expected `part` to be two shares from 0 to 1, the first of them "
            f"less than the second. Received: part={part}"
        )
