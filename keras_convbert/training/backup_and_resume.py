import os
import warnings
from typing import Any

import keras

from keras_convbert.compat import CallbackList
from keras_convbert.compat import EpochIterator
from keras_convbert.compat import find_in_callers
from keras_convbert.compat import set_initial_epoch
from keras_convbert.compat import validation_data
from keras_convbert.files import AnyPath
from keras_convbert.training.backup_folder import BackupFolder
from keras_convbert.training.data_position import DataPosition
from keras_convbert.training.finite_weights import FiniteWeights
from keras_convbert.training.global_generators import get_generators
from keras_convbert.training.global_generators import set_generators
from keras_convbert.training.model_state import ModelState
from keras_convbert.training.other_callbacks import OtherCallbacks
from keras_convbert.training.plain_state import Arrays
from keras_convbert.training.stop_signals import StopSignals
from keras_convbert.training.training_lock import TrainingLock
from keras_convbert.types import Config

Logs = dict[str, Any] | None


class BackupAndResume(keras.callbacks.Callback):
    """Saves checkpoints during training, and resumes from the newest one.

    Run the script again after an interruption: training resumes, mid-epoch
    too. On CPU weights and history are bit-identical to those of a run without
    interruption. After the last epoch another run restores the final state and
    history, and `fit` returns at once; with more `epochs` it resumes.

    A checkpoint contains weights, optimizer, metrics, the seed generators of
    the model, the global generators of Python, NumPy, Keras and PyTorch, the
    position in the data, and the state of the other callbacks (best value,
    patience, history). A script without a seed is reproducible only from the
    first checkpoint on.

    The position is known for `data.PretrainingDataset`, and for samples in
    memory that a task of this library is trained on. It is unknown for other
    data, such as `tf.data` or arrays for another model. Then checkpoints are
    saved at the end of epochs only, training resumes at the start of an epoch,
    and a warning says so.

    A checkpoint is a folder in `directory` with a hash of each file. It
    appears when it is complete, and older ones are removed after that. A
    damaged checkpoint is skipped, with a warning, for the one before it.

    Each run needs a `directory` of its own. While `fit` runs, it holds a lock
    on the folder, and another `fit` that wants it gets an error before it
    begins. The lock of a process that dies is released.

    `SIGTERM` and `SIGINT` end the process with status 143 or 130, after the
    current step or validation is done and saved. A weight that is not finite
    stops training in the same step with an error that names it, and is never
    saved.

    Args:
        directory: path of the folder for the checkpoints. Nothing else may
            write to it.
        save_freq: `"epoch"`, or int: the number of steps between checkpoints,
            and so the most that are repeated. Defaults to `"epoch"`.
        keep: int. Number of checkpoints to keep. Defaults to `2`.

    Raises:
        ValueError: if an argument is out of its range; in `fit`, if the
            checkpoint is of another model or other data, or if every
            checkpoint is damaged.
        OSError: in `fit`, if 2.2 times the size of a checkpoint is not free.
            Older checkpoints are unchanged.
        FloatingPointError: in `fit`, if a weight is not finite.
        BlockingIOError: in `fit`, if another run uses `directory`. The message
            names its process.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_convbert.training import BackupAndResume

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", loss="mse")
    x, y = np.ones((64, 4)), np.ones((64, 1))
    model.fit(x, y, epochs=3, callbacks=[BackupAndResume("backup")])
    ```
    """

    def __init__(
        self,
        directory: AnyPath,
        save_freq: str | int = "epoch",
        keep: int = 2,
    ) -> None:
        super().__init__()
        _check_arguments(directory, save_freq, keep)
        self.directory = directory
        self.save_freq = save_freq
        self.keep = keep
        self._folder = BackupFolder(directory, keep)
        self._lock = TrainingLock(directory)
        self._signals = StopSignals()
        self._callbacks: list[keras.callbacks.Callback] = []
        self._restored: tuple[Config, Arrays] | None = None

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        callbacks = find_in_callers(CallbackList, "self")
        if callbacks is not None:
            # Last, so that the others have updated their state when it is
            # saved. The lock comes first: they may write to files.
            self._callbacks = [c for c in callbacks.callbacks if c is not self]
            first = keras.callbacks.LambdaCallback(
                on_train_begin=lambda logs: self._lock.acquire()
            )
            callbacks.callbacks = [first, *self._callbacks, self]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._lock.acquire()
        try:
            self._begin()
        except BaseException:
            self._lock.release()
            raise

    def _begin(self) -> None:
        iterator = find_in_callers(EpochIterator, "epoch_iterator")
        self._position = DataPosition(iterator)
        self._others = OtherCallbacks(self._callbacks)
        self._state = ModelState(self.model)
        # Steps in total, in the epoch, and since the last checkpoint.
        self._step = self._step_in_epoch = self._unsaved = 0
        self._epoch = self._next_epoch = 0
        self._ended = False
        self._restored = None
        self._validations = 0
        if self._lock.is_held:
            self._folder.clean()
        self._restore(iterator)
        self._finite = FiniteWeights(self.model)
        if not (self._position.is_known or self.save_freq == "epoch"):
            warnings.warn(
                "The position in this data is unknown. Expected a "
                "`PretrainingDataset`, or samples in memory for a task of "
                "`keras_convbert`, to save within an epoch. Checkpoints are "
                "saved at the end of epochs only. "
                f"Received: save_freq={self.save_freq}",
                stacklevel=2,
            )
        self._signals.listen(iterator)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        # Else the next call of `fit` would start there again.
        set_initial_epoch(self.model, None)
        self._epoch = epoch
        self._step_in_epoch = 0
        if self._restored is not None:
            state, arrays = self._restored
            self._step_in_epoch = state["step_in_epoch"]
            # Keras has reset the metrics for a new epoch.
            self._state.set_metrics(arrays)
            self._restored = None

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._count(batch + 1)
        try:
            self._finite.check_step()
        except FloatingPointError:
            self._leave()
            raise
        if self._is_last_step():
            # `on_epoch_end` saves it.
            return
        stopped = self._signals.received is not None
        if self._position.is_known and (
            stopped
            or (
                self.save_freq != "epoch"
                and self._unsaved >= int(self.save_freq)
            )
        ):
            self._save(self._epoch, self._step_in_epoch)
        if stopped:
            self._exit()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._next_epoch = epoch + 1
        stopped = self._signals.received is not None
        if (
            stopped
            or self.save_freq == "epoch"
            or not self._position.is_known
            or self._unsaved >= int(self.save_freq)
        ):
            self._save(self._next_epoch, 0)
        if stopped:
            self._step_in_epoch = 0
            self._exit()

    def on_test_begin(self, logs: Logs = None) -> None:
        data = validation_data(self.model)
        if self._validations and hasattr(data, "epoch"):
            # Its random draws depend on the number of passes so far.
            data.epoch += self._validations
            self._validations = 0

    def on_train_end(self, logs: Logs = None) -> None:
        set_initial_epoch(self.model, None)
        self._signals.stop_listening()
        if not self._ended:
            self._save(self._next_epoch, 0, finished=True)
        self._lock.release()

    def _leave(self) -> None:
        self._signals.stop_listening()
        self._lock.release()

    def _count(self, steps_in_epoch: int) -> None:
        # The last group of `steps_per_execution` steps may be incomplete.
        steps = self.params["steps"]
        new = min(steps_in_epoch, steps or steps_in_epoch) - self._step_in_epoch
        self._step_in_epoch += new
        self._step += new
        self._unsaved += new
        self._position.advance()

    def _is_last_step(self) -> bool:
        return (
            self._step_in_epoch == self.params["steps"]
            or self._position.is_at_end()
        )

    def _save(
        self, epoch: int, step_in_epoch: int, finished: bool = False
    ) -> None:
        """Saves a checkpoint from which training resumes at a position."""
        self._state.synchronize()
        try:
            self._finite.check(self._state.weights())
            others, arrays = self._others.get_state()
            state, more = get_generators()
            content = {
                "epoch": epoch,
                "step": self._step,
                "step_in_epoch": step_in_epoch,
                "data": self._position.get_state(),
                "validations": self._validations
                or getattr(validation_data(self.model), "epoch", 0),
                "stopped": bool(self.model.stop_training),
                "finished": finished,
                "callbacks": others,
                "generators": state,
            }
            self._folder.save(
                self._step,
                finished,
                content,
                {**self._state.variables(), **arrays, **more},
            )
        except BaseException:
            self._leave()
            raise
        self._unsaved = 0

    def _restore(self, iterator: Any) -> None:
        found = self._choose()
        if found is None:
            return
        state, arrays = found
        self._state.build(iterator)
        self._state.set_variables(arrays)
        set_generators(state["generators"], arrays)
        self._others.set_state(state["callbacks"], arrays)
        self._step, self._next_epoch = state["step"], state["epoch"]
        self._say(f"Resuming after step {self._step}.")
        self._validations = state["validations"]
        self.model.stop_training = state["stopped"]
        epochs = self.params["epochs"]
        self._ended = state["finished"] and (
            state["stopped"] or state["epoch"] >= epochs
        )
        set_initial_epoch(self.model, state["epoch"])
        if state["stopped"]:
            set_initial_epoch(self.model, max(epochs, state["epoch"]))
        elif state["data"] is not None:
            self._position.set_state(state["data"], state["step_in_epoch"])
            if state["step_in_epoch"]:
                self._restored = state, arrays
        elif not self._ended and state["epoch"] < epochs:
            warnings.warn(
                "The position in this data is unknown: training resumes "
                f"from the start of epoch {state['epoch'] + 1}, with the data "
                "from the beginning.",
                stacklevel=2,
            )

    def _choose(self) -> tuple[Config, Arrays] | None:
        """Returns the newest checkpoint that training can resume from."""
        for name, state, arrays in self._folder.undamaged():
            more = self.params["epochs"] > state["epoch"]
            if state["finished"] and more and not state["stopped"]:
                # Training continues, so what other callbacks do to the
                # weights at the end of training must not be in them.
                before = name.removesuffix("-finished")
                if before in self._folder.names():
                    continue
            return state, arrays
        return None

    def _exit(self) -> None:
        number = self._signals.received
        self._leave()
        if not self._position.is_known and self._step_in_epoch:
            warnings.warn(
                "The position in this data is unknown: no step of this epoch "
                "is saved, and training will resume from its start.",
                stacklevel=2,
            )
        done = self._step - self._unsaved
        self._say(f"Stopped by a signal. Training is saved up to step {done}.")
        raise SystemExit(128 + int(number or 0))

    def _say(self, text: str) -> None:
        if self.params.get("verbose"):
            print(f"\n{text}", flush=True)


def _check_arguments(
    directory: AnyPath, save_freq: str | int, keep: int
) -> None:
    if not os.fspath(directory):
        raise ValueError(
            "Expected `directory` to be the path of a folder. "
            f"Received: directory={directory!r}"
        )
    if save_freq != "epoch" and not (
        isinstance(save_freq, int) and save_freq >= 1
    ):
        raise ValueError(
            "Expected `save_freq` to be 'epoch' or a number of steps, at "
            f"least 1. Received: save_freq={save_freq!r}"
        )
    if not isinstance(keep, int) or keep < 1:
        raise ValueError(
            "Expected `keep` to be an int of at least 1. "
            f"Received: keep={keep!r}"
        )
