"""Checks and flattens the labels, predictions and weights of metrics."""

from typing import Any

from keras import ops

from keras_convbert.types import Tensor


def read_numbers(
    y_true: Any, y_pred: Any, sample_weight: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns labels, predictions and weights, each float32 `(batch,)`."""
    y_true = _column("y_true", y_true, "float32")
    y_pred = _column("y_pred", y_pred, "float32")
    _check_batches("y_pred", y_pred, y_true)
    return y_true, y_pred, _weights(sample_weight, y_true)


def read_classes(
    y_true: Any, y_pred: Any, sample_weight: Any, threshold: float
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Returns labels, predicted classes, weights and the number of classes.

    Samples whose label is not a class get label 0 and weight 0.
    """
    y_true = _column("y_true", y_true, "int32")
    y_pred = ops.convert_to_tensor(y_pred)
    if len(y_pred.shape) == 2 and y_pred.shape[1] != 1:
        num_classes = y_pred.shape[1]
        y_pred = ops.cast(ops.argmax(y_pred, axis=1), "int32")
    else:
        num_classes = 2
        y_pred = _column("y_pred", y_pred, "float32")
        y_pred = ops.cast(y_pred > threshold, "int32")
    _check_batches("y_pred", y_pred, y_true)
    weights = _weights(sample_weight, y_true)
    known = ops.logical_and(y_true >= 0, y_true < num_classes)
    return (
        ops.where(known, y_true, 0),
        y_pred,
        ops.where(known, weights, 0.0),
        num_classes,
    )


def _column(name: str, value: Any, dtype: str) -> Tensor:
    value = ops.cast(ops.convert_to_tensor(value), dtype)
    rank = len(value.shape)
    if rank != 1 and not (rank == 2 and value.shape[1] == 1):
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a tensor of shape "
            f"(batch,) or (batch, 1). Received: {name}.shape="
            f"{tuple(value.shape)}"
        )
    return ops.reshape(value, (-1,))


def _weights(sample_weight: Any, y_true: Tensor) -> Tensor:
    if sample_weight is None:
        return ops.ones_like(y_true, dtype="float32")
    sample_weight = _column("sample_weight", sample_weight, "float32")
    _check_batches("sample_weight", sample_weight, y_true)
    return sample_weight


def _check_batches(name: str, value: Tensor, y_true: Tensor) -> None:
    size, wanted = value.shape[0], y_true.shape[0]
    if None not in (size, wanted) and size != wanted:
        raise ValueError(
            f"Expected `y_true` and `{name}` to have the same batch size. "
            f"Received: y_true of {wanted}, {name} of {size}"
        )
