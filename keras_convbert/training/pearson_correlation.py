from typing import Any

import keras
from keras import ops

from keras_convbert.training.metric_inputs import read_numbers
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class PearsonCorrelation(keras.metrics.Metric):
    """Pearson correlation over all samples, a metric of STS-B.

    `keras.metrics.PearsonCorrelation` averages the correlations within samples
    or, with `axis=0`, within batches, which is not the correlation over all
    samples. This metric accumulates means and co-moments, so the batch size
    does not matter. The result is 0 where it is undefined, such as where all
    labels are equal.

    Evaluate on one device: `tf.distribute` adds the states of replicas, which
    is wrong for this metric.

    Args:
        name: string. Name of the metric. Defaults to
            `"pearson_correlation"`.

    Call arguments:
        y_true: numbers of shape `(batch,)` or `(batch, 1)`.
        y_pred: numbers of shape `(batch,)` or `(batch, 1)`.
        sample_weight: weights of shape `(batch,)` or `(batch, 1)`, or `None`.

    Raises:
        ValueError: if a shape is unexpected.

    Example:

    ```python
    from keras_convbert.training import PearsonCorrelation

    metric = PearsonCorrelation()
    metric.update_state([1.0, 2.0], [3.0, 5.0])
    metric.update_state([3.0], [4.0])
    float(metric.result())  # 0.5
    ```

    Reference:
        - [Formulas for robust, one-pass parallel computation of covariances
          and arbitrary-order statistical moments](
          https://doi.org/10.2172/1028931), section 3
    """

    def __init__(self, name: str = "pearson_correlation") -> None:
        super().__init__(name=name, dtype="float32")
        self.weight, self.origin, self.mean, self.moments = (
            self.add_variable(shape, "zeros", dtype="float32", name=state)
            for state, shape in (
                ("weight", ()),
                ("origin", (2, 1)),
                ("mean", (2, 1)),
                ("moments", (2, 2)),
            )
        )

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        y_true, y_pred, weights = read_numbers(y_true, y_pred, sample_weight)
        values = ops.stack([y_true, y_pred])
        # Relative to the first sample: float32 is coarse far from zero.
        first = ops.take(values, ops.argmax(weights != 0), axis=1)
        origin = ops.where(
            self.weight == 0, first[:, None], ops.convert_to_tensor(self.origin)
        )
        values = ops.where(weights != 0, values - origin, 0.0)
        weight = ops.sum(weights)
        mean = ops.divide_no_nan(
            ops.sum(weights * values, axis=1, keepdims=True), weight
        )
        moments = _products(values - mean, weights)

        total = self.weight + weight
        fraction = ops.divide_no_nan(weight, total)
        step = mean - self.mean
        moments = moments + step * ops.transpose(step) * self.weight * fraction
        self.moments.assign_add(moments)
        self.mean.assign_add(step * fraction)
        self.origin.assign(origin)
        self.weight.assign(total)

    def result(self) -> Tensor:
        spread = ops.sqrt(ops.diagonal(self.moments))
        return ops.clip(
            ops.divide_no_nan(self.moments[0, 1], spread[0] * spread[1]), -1, 1
        )

    def get_config(self) -> Config:
        return {"name": self.name}


def _products(values: Tensor, weights: Tensor) -> Tensor:
    """Returns the sums of the products of two rows, `(2, 2)`.

    Args:
        values: tensor of shape `(2, batch)`.
        weights: tensor of shape `(batch,)`.
    """
    return ops.sum(values[:, None] * values[None] * weights, axis=-1)
