from typing import Any

import keras


class StopAtStep(keras.callbacks.Callback):
    """Ends a training after a number of steps, also within an epoch.

    It counts by what Keras tells it, so that it needs no state of its own
    when a training is resumed.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self._before = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._before + batch + 1 >= self.steps:
            self.model.stop_training = True
