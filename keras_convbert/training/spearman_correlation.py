from typing import Any

import keras
from keras import ops

from keras_convbert.training.metric_inputs import read_numbers
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class SpearmanCorrelation(keras.metrics.Metric):
    """Spearman rank correlation over all samples, a metric of STS-B.

    Tied samples get the mean of their ranks. The result is 0 where it is
    undefined, such as where all labels are equal, and NaN after more than
    `max_samples` samples.

    Every result sorts a buffer of `max_samples`, and Keras computes a result
    per step: a validation set of 1,500 samples is faster with
    `max_samples=1500`.

    Evaluate on one device: `tf.distribute` adds the states of replicas, which
    is wrong for this metric.

    Args:
        max_samples: int. Maximum number of samples. Defaults to `65536`.
        name: string. Name of the metric. Defaults to
            `"spearman_correlation"`.

    Call arguments:
        y_true: numbers of shape `(batch,)` or `(batch, 1)`.
        y_pred: numbers of shape `(batch,)` or `(batch, 1)`.
        sample_weight: weights of shape `(batch,)` or `(batch, 1)`, or `None`.
            Samples of weight 0 are ignored; all others count equally.

    Raises:
        ValueError: if `max_samples` is not between 2 and `2**24 - 1`, or a
            shape is unexpected.

    Example:

    ```python
    from keras_convbert.training import SpearmanCorrelation

    metric = SpearmanCorrelation(max_samples=100)
    metric.update_state([1.0, 2.0], [10.0, 1000.0])
    metric.update_state([3.0], [100.0])
    float(metric.result())  # 0.5
    ```

    Reference:
        - [SemEval-2017 Task 1](https://arxiv.org/abs/1708.00055)
    """

    def __init__(
        self, max_samples: int = 65536, name: str = "spearman_correlation"
    ) -> None:
        super().__init__(name=name, dtype="float32")
        # The count is float32, like all state.
        if not 2 <= max_samples < 2**24:
            raise ValueError(
                "Invalid value for argument `max_samples`. Expected an integer "
                "of at least 2 and less than 2**24. Received: "
                f"max_samples={max_samples}"
            )
        self.max_samples = max_samples
        # Ignored samples go to the last position.
        self.labels, self.scores, self.count = (
            self.add_variable(shape, "zeros", dtype="float32", name=state)
            for state, shape in (
                ("labels", (max_samples + 1,)),
                ("scores", (max_samples + 1,)),
                ("count", ()),
            )
        )

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        y_true, y_pred, weights = read_numbers(y_true, y_pred, sample_weight)
        kept = ops.cast(weights != 0, "int32")
        positions = ops.cast(self.count, "int32") + ops.cumsum(kept) - 1
        positions = ops.where(kept == 1, positions, self.max_samples)
        positions = ops.minimum(positions, self.max_samples)[:, None]
        for buffer, values in ((self.labels, y_true), (self.scores, y_pred)):
            buffer.assign(ops.scatter_update(buffer, positions, values))
        self.count.assign_add(ops.cast(ops.sum(kept), "float32"))

    def result(self) -> Tensor:
        valid = ops.cast(
            ops.arange(self.max_samples) < ops.cast(self.count, "int32"),
            "float32",
        )
        middle = (self.count + 1.0) / 2.0
        labels, scores = (
            (_ranks(buffer[:-1], valid) - middle) * valid / self.max_samples
            for buffer in (self.labels, self.scores)
        )
        spread = ops.sqrt(ops.sum(labels**2)) * ops.sqrt(ops.sum(scores**2))
        correlation = ops.divide_no_nan(ops.sum(labels * scores), spread)
        return ops.where(
            self.count > self.max_samples,
            float("nan"),
            ops.clip(correlation, -1, 1),
        )

    def get_config(self) -> Config:
        return {"max_samples": self.max_samples, "name": self.name}


def _ranks(values: Tensor, valid: Tensor) -> Tensor:
    """Returns the rank of each value among the valid ones, from 1.

    `ops.searchsorted` would be quadratic with XLA on TensorFlow.
    """
    order = ops.argsort(values)
    ordered = ops.take(values, order)
    steps = ops.cast(ordered[1:] != ordered[:-1], "int32")
    ties = ops.pad(ops.cumsum(steps), ((1, 0),))
    counts = ops.scatter_update(
        ops.zeros_like(values),
        ties[:, None],
        ops.take(valid, order),
        reduction="add",
    )
    ranks = ops.take(ops.cumsum(counts) - (counts - 1.0) / 2.0, ties)
    ranks = ops.scatter_update(values, order[:, None], ranks)
    return ops.where(ops.isnan(values), values, ranks)
