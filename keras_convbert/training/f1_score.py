from typing import Any

import keras
from keras import ops

from keras_convbert.training.metric_inputs import read_classes
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class F1Score(keras.metrics.Metric):
    """F1 of one class, the metric of MRPC and QQP.

    It takes integer labels; `keras.metrics.F1Score` needs one-hot labels. The
    result is 0 where F1 is undefined.

    Args:
        class_id: int. The class whose F1 is computed. Defaults to `1`.
        threshold: float. If there is one score per sample, scores above it
            are class 1: `0.5` suits probabilities, `0.0` logits. Defaults to
            `0.5`.
        name: string. Name of the metric. Defaults to `"f1_score"`.

    Call arguments:
        y_true: labels of shape `(batch,)` or `(batch, 1)`. Samples whose label
            is not a class are ignored.
        y_pred: scores of shape `(batch, num_classes)`, of which the highest
            gives the class; or, for two classes, scores of class 1, of shape
            `(batch,)` or `(batch, 1)`.
        sample_weight: weights of shape `(batch,)` or `(batch, 1)`, or `None`.

    Raises:
        ValueError: if `class_id` is negative or not less than the number of
            classes, or a shape is unexpected.

    Example:

    ```python
    from keras_convbert.training import F1Score

    metric = F1Score()
    metric.update_state([1, 1, 0, 0], [0.9, 0.2, 0.1, 0.1])
    float(metric.result())  # 0.667
    ```

    Reference:
        - [GLUE](https://arxiv.org/abs/1804.07461), section 3
    """

    def __init__(
        self, class_id: int = 1, threshold: float = 0.5, name: str = "f1_score"
    ) -> None:
        super().__init__(name=name, dtype="float32")
        if class_id < 0:
            raise ValueError(
                "Invalid value for argument `class_id`. Expected an integer of "
                f"at least 0. Received: class_id={class_id!r}"
            )
        self.class_id = class_id
        self.threshold = threshold
        self.hits, self.predicted, self.actual = (
            self.add_variable((), "zeros", dtype="float32", name=state)
            for state in ("hits", "predicted", "actual")
        )

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        labels, classes, weights, num_classes = read_classes(
            y_true, y_pred, sample_weight, self.threshold
        )
        if self.class_id >= num_classes:
            raise ValueError(
                "Invalid value for argument `y_pred`. Expected the scores of "
                f"more than {self.class_id} classes, as class_id="
                f"{self.class_id}. Received: y_pred.shape="
                f"{tuple(y_pred.shape)}"
            )
        actual = ops.where(labels == self.class_id, weights, 0.0)
        predicted = classes == self.class_id
        self.hits.assign_add(ops.sum(ops.where(predicted, actual, 0.0)))
        self.predicted.assign_add(ops.sum(ops.where(predicted, weights, 0.0)))
        self.actual.assign_add(ops.sum(actual))

    def result(self) -> Tensor:
        return ops.divide_no_nan(2.0 * self.hits, self.predicted + self.actual)

    def get_config(self) -> Config:
        return {
            "class_id": self.class_id,
            "threshold": self.threshold,
            "name": self.name,
        }
