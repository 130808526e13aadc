"""The position of training in its data."""

from typing import Any

from keras_convbert.compat import open_iterator
from keras_convbert.compat import skip_steps
from keras_convbert.types import Config


class DataPosition:
    """Tracks the position of `fit` in its data, and restores it.

    The position is known if the data adapter has the attributes `epoch` and
    `start_batch`, where its next iterator starts, and a number of batches. It
    may have a `seed`. The batches must be a function of these.
    """

    def __init__(self, iterator: Any) -> None:
        self._iterator = iterator
        self._data = iterator.data_adapter
        self.is_known = hasattr(self._data, "start_batch")
        if self.is_known:
            self._length: int = self._data.num_batches
            self._batches = self._data.epoch * self._length
            self._batches += self._data.start_batch

    def advance(self) -> None:
        """Counts the batches of one execution of `fit`.

        These are `steps_per_execution`, or the rest of a pass. The last ones of
        an epoch may be more than its `steps_per_epoch`.
        """
        if self.is_known:
            rest = self._length - self._batches % self._length
            self._batches += min(self._iterator.steps_per_execution, rest)

    def is_at_end(self) -> bool:
        """Returns whether `fit` has taken every batch of a pass."""
        return self.is_known and self._batches % self._length == 0

    def get_state(self) -> Config | None:
        """Returns the position, `None` if it is unknown."""
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
        """Moves to a position.

        Args:
            state: dict. What `get_state` returned.
            steps: int. Steps that `fit` has done in its epoch.

        Raises:
            ValueError: if the data has another number of batches.
        """
        if not self.is_known or state["num_batches"] != self._length:
            number = self._length if self.is_known else "unknown"
            raise ValueError(
                "Expected the data that training started with, which has "
                f"{state['num_batches']} batches. Received: data with "
                f"{number} batches"
            )
        if hasattr(self._data, "seed"):
            self._data.seed = state["seed"]
        self._data.epoch = state["epoch"]
        self._data.start_batch = state["batch"]
        self._batches = state["epoch"] * self._length + state["batch"]
        if self._iterator.steps_per_epoch:
            # Epochs of `fit` share an iterator, and one that `fit` opens
            # counts from 0.
            open_iterator(self._iterator, state["batch"] - steps)
        if steps:
            skip_steps(self._iterator, steps)
