"""What a loss says about labels and outputs, in each of its spellings."""

import functools
import inspect
import warnings
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_convbert.models.base import problem_types
from keras_convbert.text.class_labels import IDS
from keras_convbert.text.class_labels import NUMBERS
from keras_convbert.text.class_labels import ONE_HOT
from keras_convbert.text.class_labels import VECTORS
from keras_convbert.training import PearsonCorrelation
from keras_convbert.types import Activation
from keras_convbert.types import Config

BY_SHAPE = "by_shape"
"""The form of labels of losses that Keras chooses by the shape of labels."""
CHOSEN_BY_SHAPE = ("crossentropy", "ce")

GENERALIZED = keras.losses.CategoricalGeneralizedCrossEntropy().fn
FORMS = {
    keras.losses.sparse_categorical_crossentropy: IDS,
    GENERALIZED: IDS,
    keras.losses.categorical_crossentropy: ONE_HOT,
    keras.losses.categorical_focal_crossentropy: ONE_HOT,
    keras.losses.categorical_hinge: ONE_HOT,
    keras.losses.kl_divergence: ONE_HOT,
    keras.losses.binary_crossentropy: VECTORS,
    keras.losses.binary_focal_crossentropy: VECTORS,
    keras.losses.mean_squared_error: NUMBERS,
    keras.losses.mean_absolute_error: NUMBERS,
    keras.losses.mean_absolute_percentage_error: NUMBERS,
    keras.losses.mean_squared_logarithmic_error: NUMBERS,
    keras.losses.huber: NUMBERS,
    keras.losses.log_cosh: NUMBERS,
    keras.losses.poisson: NUMBERS,
}


class LossLabels(NamedTuple):
    """What a loss expects."""

    form: str | None
    """A form of `text.class_labels`, or `BY_SHAPE`; `None` if unknown."""

    from_logits: bool | None
    """Whether outputs are logits, not probabilities; `None` if unknown."""


UNKNOWN = LossLabels(None, None)


def loss_labels(loss: Any) -> LossLabels:
    """Returns what a loss of a task with one output expects.

    Args:
        loss: a loss, in any form that `keras.Model.compile` accepts: a name, a
            class, an object, a function, a config, or a list or dict with one
            of these.

    Raises:
        ValueError: if it is a name that Keras does not know.
    """
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        return loss_labels(loss[0])
    if isinstance(loss, dict) and len(loss) == 1 and "class_name" not in loss:
        return loss_labels(*loss.values())
    if loss is None or isinstance(loss, (list, tuple)):
        return UNKNOWN
    if isinstance(loss, str) and loss.lower() in CHOSEN_BY_SHAPE:
        return LossLabels(BY_SHAPE, False)
    found: Any = keras.losses.get(loss)
    settings: Config = {}
    if isinstance(found, functools.partial):
        found, settings = found.func, found.keywords
    function = getattr(found, "fn", found)
    form = FORMS.get(function) if callable(function) else None
    if form is None:
        return UNKNOWN
    if function in (keras.losses.kl_divergence, GENERALIZED):
        return LossLabels(form, False)
    default = inspect.signature(function).parameters.get("from_logits")
    from_logits = None if default is None else default.default
    from_logits = getattr(found, "from_logits", from_logits)
    return LossLabels(form, settings.get("from_logits", from_logits))


def form_of_labels(loss: Any, labels: Any, num_classes: int) -> str | None:
    """Returns the form that a loss expects of labels; `None` if unknown.

    Keras infers the form from the shape of the labels if the loss is one of
    `CHOSEN_BY_SHAPE`.

    Args:
        loss: a loss, as for `loss_labels`.
        labels: list, array or tensor of numbers.
        num_classes: int. Number of classes.
    """
    form = loss_labels(loss).form
    if form != BY_SHAPE:
        return form
    shape = labels.shape if hasattr(labels, "shape") else np.shape(labels)
    if num_classes == 1:
        return VECTORS
    return IDS if len(shape) < 2 or shape[-1] == 1 else ONE_HOT


def default_loss(
    problem_type: str, activation: Activation
) -> keras.losses.Loss:
    """Returns the loss of a problem type."""
    if problem_type == problem_types.REGRESSION:
        return keras.losses.MeanSquaredError()
    if problem_type == problem_types.MULTI_LABEL:
        return keras.losses.BinaryCrossentropy(
            from_logits=activation is not keras.activations.sigmoid
        )
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=activation is not keras.activations.softmax
    )


def warn_of_mismatch(loss: Any, activation: Activation) -> None:
    """Warns of logits in a loss of probabilities, and the reverse."""
    from_logits = loss_labels(loss).from_logits
    wanted = {
        keras.activations.linear: True,
        keras.activations.softmax: False,
        keras.activations.sigmoid: False,
    }.get(activation)
    if None in (wanted, from_logits) or wanted == from_logits:
        return
    outputs = "logits" if wanted else "probabilities"
    name = keras.activations.serialize(activation)
    warnings.warn(
        f"The task returns {outputs}, since its activation is {name!r}, but "
        f"the loss expects `from_logits={from_logits}`. Training would go "
        f"wrong. Expected a loss object with `from_logits={wanted}`. "
        f"Received: loss={loss!r}",
        stacklevel=3,
    )


def default_metrics(
    labels: LossLabels, gives_logits: bool, num_classes: int
) -> list[Any]:
    """Returns the metrics that fit the labels of a loss.

    Args:
        labels: what the loss expects.
        gives_logits: bool. Whether the outputs of the task are logits.
        num_classes: int. Number of outputs.
    """
    if labels.form == BY_SHAPE:
        return ["accuracy"]
    if labels.form == IDS:
        return [keras.metrics.SparseCategoricalAccuracy()]
    if labels.form == ONE_HOT:
        return [keras.metrics.CategoricalAccuracy()]
    if labels.form == VECTORS:
        threshold = 0.0 if gives_logits else 0.5
        return [
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)
        ]
    if labels.form == NUMBERS and num_classes == 1:
        return [PearsonCorrelation()]
    return []
