from typing import Any

import keras


class StopAtStep(keras.callbacks.Callback):
    """Stops training after a number of steps, also within an epoch.

    It computes the step from the epoch and batch numbers of Keras, so it needs
    no saved state when training resumes.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self._previous_steps = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._previous_steps = epoch * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._previous_steps + batch + 1 >= self.steps:
            self.model.stop_training = True
