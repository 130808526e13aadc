from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_convbert.text.entity_spans import find_spans
from keras_convbert.text.entity_spans import tag_tables
from keras_convbert.types import Config
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class EntityF1(keras.metrics.Metric):
    """F1 of named entities over all types, as `conlleval` computes it.

    An entity counts as found if its type, start and end are correct. An entity
    starts at `B` and `S`, ends at `E` and `S`, and does both at `O` and where
    the type changes. So IOB1, IOB2 and BIOES are read alike, malformed
    sequences too. `L` and `U` of BILOU mean `E` and `S`. The result is 0 where
    F1 is undefined.

    Args:
        labels: sequence of strings. The tags in the order of their ids: `"O"`,
            or one of `B`, `I`, `E`, `S`, `L`, `U`, alone or with a type, as
            in `"B-PER"`. Unknown ids are read as `"O"`.
        name: string. Name of the metric. Defaults to `"entity_f1"`.

    Call arguments:
        y_true: ids of shape `(batch, length)`.
        y_pred: scores of shape `(batch, length, len(labels))`, or ids of shape
            `(batch, length)`.
        sample_weight: weights of shape `(batch, length)`, `(batch, 1)` or
            `(batch,)`, or `None`. Positions of weight 0 are removed from the
            sequence; all others count equally. Keras passes weights to the
            metrics in `weighted_metrics` of `compile`.

    Raises:
        ValueError: if `labels` is empty or contains anything but tags, or a
            shape is unexpected.

    Example:

    ```python
    from keras_convbert.training import EntityF1

    metric = EntityF1(["O", "B-PER", "I-PER", "B-LOC"])
    metric.update_state([[1, 2, 0, 3]], [[1, 2, 0, 1]])
    float(metric.result())  # 0.5
    ```

    Reference:
        - [seqeval](https://github.com/chakki-works/seqeval), its default mode
    """

    def __init__(self, labels: Sequence[str], name: str = "entity_f1") -> None:
        super().__init__(name=name, dtype="float32")
        if isinstance(labels, str) or not labels:
            raise ValueError(
                "Invalid value for argument `labels`. Expected a sequence of "
                f"strings. Received: labels={labels!r}"
            )
        self._tables = tag_tables(labels)
        self.labels = tuple(labels)
        self.hits, self.predicted, self.actual = (
            self.add_variable((), "zeros", dtype="float32", name=state)
            for state in ("hits", "predicted", "actual")
        )

    def update_state(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        y_true = ops.convert_to_tensor(y_true)
        y_pred = ops.convert_to_tensor(y_pred)
        _check_predictions(
            tuple(y_true.shape), tuple(y_pred.shape), len(self.labels)
        )
        if len(y_pred.shape) == 3:
            y_pred = ops.argmax(y_pred, axis=-1)
        kept = _kept(sample_weight, y_true)
        starts, ends, types = self._spans(y_true, kept)
        predicted, predicted_ends, predicted_types = self._spans(y_pred, kept)
        hits = ops.logical_and(starts, predicted)
        hits = ops.logical_and(hits, ends == predicted_ends)
        hits = ops.logical_and(hits, types == predicted_types)
        for state, found in (
            (self.hits, hits),
            (self.predicted, predicted),
            (self.actual, starts),
        ):
            state.assign_add(ops.sum(ops.cast(found, "float32")))

    def result(self) -> Tensor:
        return ops.divide_no_nan(2.0 * self.hits, self.predicted + self.actual)

    def get_config(self) -> Config:
        return {"labels": list(self.labels), "name": self.name}

    def _spans(self, ids: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
        """Finds the spans after moving the kept positions to the left."""
        length = ops.shape(ids)[1]
        positions = ops.arange(length)
        order = ops.argsort(ops.where(kept, positions, positions + length))
        outside = len(self.labels)
        ids = ops.cast(ids, "int32")
        known = ops.logical_and(ids >= 0, ids < outside)
        ids = ops.where(ops.logical_and(known, kept), ids, outside)
        return find_spans(ops.take_along_axis(ids, order, axis=1), self._tables)


def _check_predictions(y_true: Shape, y_pred: Shape, num_labels: int) -> None:
    if len(y_true) == 2 and (
        _fits(y_pred, y_true) or _fits(y_pred, (*y_true, num_labels))
    ):
        return
    raise ValueError(
        "Expected `y_true` of shape (batch, length) and `y_pred` of shape "
        f"(batch, length, {num_labels}) or (batch, length). Received: "
        f"y_true.shape={y_true}, y_pred.shape={y_pred}"
    )


def _kept(sample_weight: Any, y_true: Tensor) -> Tensor:
    """Returns whether each position counts, `(batch, length)`."""
    everywhere = ops.ones_like(y_true, dtype="bool")
    if sample_weight is None:
        return everywhere
    weights = ops.convert_to_tensor(sample_weight)
    shape, (batch, length) = tuple(weights.shape), y_true.shape
    if not any(
        _fits(shape, wanted)
        for wanted in ((batch,), (batch, 1), (batch, length))
    ):
        raise ValueError(
            "Expected `sample_weight` of shape (batch,), (batch, 1) or (batch, "
            f"length). Received: y_true.shape={tuple(y_true.shape)}, "
            f"sample_weight.shape={shape}"
        )
    if len(shape) == 1:
        weights = weights[:, None]
    return ops.logical_and(everywhere, ops.cast(weights, "bool"))


def _fits(shape: Shape, wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        None in sizes or sizes[0] == sizes[1]
        for sizes in zip(shape, wanted, strict=True)
    )
