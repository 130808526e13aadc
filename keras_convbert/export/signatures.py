"""What a served model answers to, by the kind of model."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.types import Tensor

Labels = Sequence[str] | None


def _features(model: Any, outputs: Any, labels: Labels) -> dict[str, Tensor]:
    import tensorflow as tf

    return {name: tf.cast(outputs[name], "float32") for name in outputs}


def _logits(model: Any, outputs: Tensor, labels: Labels) -> dict[str, Tensor]:
    import tensorflow as tf

    return {"logits": tf.cast(outputs, "float32")}


def _classes(model: Any, outputs: Tensor, labels: Labels) -> dict[str, Tensor]:
    import tensorflow as tf

    outputs = tf.cast(outputs, "float32")  # (B, C)
    if model.activation is keras.activations.softmax:
        # A probability may have underflowed to 0, and JSON has no infinity.
        probable = tf.maximum(outputs, np.finfo("float32").tiny)
        logits, probabilities = tf.math.log(probable), outputs
    else:
        logits, probabilities = outputs, tf.nn.softmax(outputs)
    label = tf.argmax(outputs, axis=-1)  # (B,)
    if labels is not None:
        label = tf.gather(tf.constant(labels), label)
    return {"logits": logits, "probabilities": probabilities, "label": label}


class Kind(NamedTuple):
    """How the models of a class are served."""

    name_outputs: Callable[[Any, Any, Labels], dict[str, Tensor]]
    """From a model, what a call of it gave, and the labels."""

    texts: Mapping[str, tuple[str, ...]]
    """Signatures on raw strings, and the names of their inputs."""


KINDS: dict[type, Kind] = {
    ConvBertBackbone: Kind(_features, {}),
    ConvBertMaskedLM: Kind(_logits, {}),
    ConvBertTextClassifier: Kind(
        _classes, {"text": ("text",), "text_pair": ("text", "text_pair")}
    ),
}


def kind_of(model: Any) -> Kind:
    """The row of `KINDS` for a model.

    Raises:
        ValueError: if there is none.
    """
    for cls in type(model).__mro__:
        if cls in KINDS:
            return KINDS[cls]
    names = ", ".join(cls.__name__ for cls in KINDS)
    raise ValueError(
        f"Expected a model of one of the classes {names}; of a "
        "`ConvBertPretrainer` that is its `.backbone`. "
        f"Received: model={model} (of type {type(model).__name__})"
    )


def text_signatures(model: Any) -> Mapping[str, tuple[str, ...]]:
    """The signatures on raw strings that a model can have."""
    if getattr(model, "preprocessor", None) is None:
        return {}
    return kind_of(model).texts
