from typing import Any

import keras
from keras import ops

from keras_convbert.training.metric_inputs import read_classes
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class MatthewsCorrelation(keras.metrics.Metric):
    """Matthews correlation of classes, the metric of CoLA.

    It correlates labels and predicted classes over all samples: 1 for perfect
    predictions, 0 at chance level. It is 0 where it is undefined, such as
    where only one class occurs or is predicted.

    Args:
        num_classes: int. Number of classes. Defaults to `2`.
        threshold: float. If there is one score per sample, scores above it
            are class 1: `0.5` suits probabilities, `0.0` logits. Defaults to
            `0.5`.
        name: string. Name of the metric. Defaults to
            `"matthews_correlation"`.

    Call arguments:
        y_true: labels of shape `(batch,)` or `(batch, 1)`. Samples whose label
            is not a class are ignored.
        y_pred: scores of shape `(batch, num_classes)`, of which the highest
            gives the class; or, for two classes, scores of class 1, of shape
            `(batch,)` or `(batch, 1)`.
        sample_weight: weights of shape `(batch,)` or `(batch, 1)`, or `None`.

    Raises:
        ValueError: if `num_classes` is less than 2, or a shape is
            unexpected.

    Example:

    ```python
    from keras_convbert.training import MatthewsCorrelation

    metric = MatthewsCorrelation()
    metric.update_state([1, 1, 0, 0], [[0, 9], [9, 0], [9, 0], [9, 0]])
    float(metric.result())  # 0.577
    ```

    Reference:
        - [Comparing two K-category assignments by a K-category correlation
          coefficient](https://doi.org/10.1016/j.compbiolchem.2004.09.006)
    """

    def __init__(
        self,
        num_classes: int = 2,
        threshold: float = 0.5,
        name: str = "matthews_correlation",
    ) -> None:
        super().__init__(name=name, dtype="float32")
        if num_classes < 2:
            raise ValueError(
                "Invalid value for argument `num_classes`. Expected an integer "
                f"of at least 2. Received: num_classes={num_classes!r}"
            )
        self.num_classes = num_classes
        self.threshold = threshold
        self.confusion = self.add_variable(
            shape=(num_classes, num_classes),
            initializer="zeros",
            dtype="float32",
            name="confusion",
        )

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        labels, classes, weights, num_classes = read_classes(
            y_true, y_pred, sample_weight, self.threshold
        )
        if num_classes != self.num_classes:
            raise ValueError(
                "Invalid value for argument `y_pred`. Expected the scores of "
                f"{self.num_classes} classes. Received: y_pred.shape="
                f"{tuple(y_pred.shape)}"
            )
        counts = ops.scatter_update(
            ops.zeros((num_classes, num_classes), dtype="float32"),
            ops.stack([labels, classes], axis=1),
            weights,
            reduction="add",
        )
        self.confusion.assign_add(counts)

    def result(self) -> Tensor:
        counts = ops.convert_to_tensor(self.confusion)
        wrong = counts * (1.0 - ops.eye(self.num_classes))
        missed = ops.sum(wrong, axis=1)
        mistaken = ops.sum(wrong, axis=0)
        hits = ops.diagonal(counts)
        others = ops.sum(counts) - hits - missed - mistaken
        covariance = ops.sum(hits * others - missed * mistaken)
        spread = _spread(hits + missed) * _spread(hits + mistaken)
        return ops.divide_no_nan(covariance, spread)

    def get_config(self) -> Config:
        return {
            "num_classes": self.num_classes,
            "threshold": self.threshold,
            "name": self.name,
        }


def _spread(counts: Tensor) -> Tensor:
    """Returns the root of `sum(c) ** 2 - sum(c ** 2)`.

    It is exactly 0 if only one class has counts.
    """
    return ops.sqrt(ops.sum(counts * (ops.sum(counts) - counts)))
