from typing import Any

import keras
from keras import ops

from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate with linear warm-up and linear decay to zero.

    `learning_rate * min(1, step / warmup_steps) * max(0, 1 - step /
    total_steps)`. Step 0 has a rate of 0.

    Args:
        learning_rate: float. The rate that the two factors scale.
        warmup_steps: int. Number of warm-up steps; 0 for no warm-up.
        total_steps: int. Step at which the rate reaches zero; `None` for no
            decay. Defaults to `None`.

    Raises:
        ValueError: if a number is negative, or `warmup_steps` is not less
            than `total_steps`.

    Example:

    ```python
    from keras_convbert.training import WarmupLinearDecay

    schedule = WarmupLinearDecay(1e-3, warmup_steps=10, total_steps=100)
    float(schedule(5))  # 1e-3 * 0.5 * 0.95
    ```

    Reference:
        - `optimization.py` of the authors: polynomial decay of power 1, times
          the warm-up.
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int,
        total_steps: int | None = None,
    ) -> None:
        super().__init__()
        if learning_rate < 0:
            raise ValueError(
                "Invalid value for argument `learning_rate`. Expected a "
                "number of at least 0. Received: "
                f"learning_rate={learning_rate}"
            )
        if warmup_steps < 0 or (
            total_steps is not None and not warmup_steps < total_steps
        ):
            raise ValueError(
                "Expected `0 <= warmup_steps < total_steps`. Received: "
                f"warmup_steps={warmup_steps}, total_steps={total_steps}"
            )
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step: Any) -> Tensor:
        step = ops.cast(step, "float32")
        rate = ops.ones_like(step) * self.learning_rate
        if self.warmup_steps:
            rate = rate * ops.minimum(1.0, step / self.warmup_steps)
        if self.total_steps is not None:
            rate = rate * ops.maximum(0.0, 1.0 - step / self.total_steps)
        return rate

    def get_config(self) -> Config:
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }
