"""Where a training is in its data."""

from typing import Any

from keras_convbert.compat import PyDatasetAdapter
from keras_convbert.compat import open_iterator
from keras_convbert.compat import skip_steps
from keras_convbert.types import Config


class DataPosition:
    """Where a training is in its data, and how it gets there again.

    It is known of data that has the attributes `epoch` and `start_batch`,
    which say where the next iterator over it begins, and a number of batches;
    perhaps a `seed`. Batches must be a function of these.
    """

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self._data = iterator.data_adapter
        self.is_known = hasattr(self._data, "start_batch") and not (
            # Which then changes its order within an epoch of its own.
            isinstance(self._data, PyDatasetAdapter)
            and iterator.steps_per_epoch
        )
        if self.is_known:
            self._length: int = self._data.num_batches
            self._batches = self._data.epoch * self._length
            self._batches += self._data.start_batch

    def advance(self, batches: int) -> None:
        """Counts what `fit` was given."""
        if self.is_known:
            self._batches += batches

    def is_at_end(self) -> bool:
        """Whether each batch of the data was given."""
        return self.is_known and self._batches % self._length == 0

    def get_state(self) -> Config | None:
        """The position, or `None` if it is not known."""
        if not self.is_known:
            return None
        epoch, batch = divmod(self._batches, self._length)
        return {
            "epoch": epoch,
            "batch": batch,
            "num_batches": self._length,
            "seed": getattr(self._data, "seed", None),
        }

    def set_state(self, state: Config, steps: int) -> None:
        """Goes to a position, at which `fit` has done `steps` of its epoch."""
        if not self.is_known or state["num_batches"] != self._length:
            number = self._length if self.is_known else "unknown"
            raise ValueError(
                "Expected the data that the training began with, which has "
                f"{state['num_batches']} batches. Received: data with "
                f"{number} batches"
            )
        if hasattr(self._data, "seed"):
            self._data.seed = state["seed"]
        self._data.epoch = state["epoch"]
        self._data.start_batch = state["batch"]
        self._batches = state["epoch"] * self._length + state["batch"]
        if self._iterator.steps_per_epoch:
            # Several epochs of `fit` share an iterator over the data, and it
            # counts from 0 when it makes one itself.
            open_iterator(self._iterator, state["batch"] - steps)
        if steps:
            skip_steps(self._iterator, steps)
