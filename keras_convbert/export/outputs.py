"""Named float32 outputs of the models of each kind."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_convbert.models.base.problem_types import MULTI_LABEL
from keras_convbert.models.base.problem_types import REGRESSION
from keras_convbert.models.base.problem_types import problem_type_of
from keras_convbert.types import Tensor

Outputs = dict[str, Tensor]


def features(model: Any, outputs: Outputs) -> Outputs:
    return {name: ops.cast(value, "float32") for name, value in outputs.items()}


def functional(model: Any, outputs: Any) -> Outputs:
    """Returns the outputs of a user's own model under their names."""
    if not isinstance(outputs, dict):
        values = keras.tree.flatten(outputs)
        outputs = dict(zip(model.model.output_names, values, strict=True))
    return {
        name: ops.cast(value, "float32")
        if keras.backend.is_float_dtype(
            keras.backend.standardize_dtype(value.dtype)
        )
        else value
        for name, value in outputs.items()
    }


def logits(model: Any, outputs: Tensor) -> Outputs:
    return {"logits": ops.cast(outputs, "float32")}


def embedding(model: Any, outputs: Tensor) -> Outputs:
    return {"embedding": ops.cast(outputs, "float32")}


def classes(model: Any, outputs: Tensor) -> Outputs:
    """Returns logits, probabilities and class ids, or regression scores."""
    outputs = ops.cast(outputs, "float32")  # (B, C)
    problem_type = problem_type_of(model)
    # A probability may have underflowed to 0, and JSON cannot represent an
    # infinite logit.
    tiny = np.finfo("float32").tiny
    if problem_type == REGRESSION:
        one = model.num_classes == 1
        return {"score": ops.squeeze(outputs, -1) if one else outputs}
    if problem_type == MULTI_LABEL:
        logits, probabilities = outputs, ops.sigmoid(outputs)
        if model.activation is keras.activations.sigmoid:
            probabilities = outputs
            odds = ops.maximum(outputs, tiny) / ops.maximum(1 - outputs, tiny)
            logits = ops.log(odds)
        return {
            "logits": logits,
            "probabilities": probabilities,
            "label": ops.cast(probabilities > 0.5, "int64"),
        }
    if model.activation is keras.activations.softmax:
        return _with_label(ops.log(ops.maximum(outputs, tiny)), outputs)
    return _with_label(outputs, ops.softmax(outputs))


def _with_label(class_logits: Tensor, probabilities: Tensor) -> Outputs:
    # Not `argmax`: no other runtime has all operations of its TensorFlow
    # graph.
    label = ops.top_k(class_logits, k=1)[1]  # (B, 1)
    return {
        "logits": class_logits,
        "probabilities": probabilities,
        "label": ops.cast(ops.squeeze(label, -1), "int64"),
    }


def token_classes(model: Any, outputs: Tensor) -> Outputs:
    outputs = ops.cast(outputs, "float32")  # (B, T, labels)
    return {"logits": outputs, "probabilities": ops.softmax(outputs)}


def answer_logits(model: Any, outputs: Outputs) -> Outputs:
    # `sequence_output` is an output only for the loss.
    return {
        name: value
        for name, value in outputs.items()
        if name != "sequence_output"
    }
