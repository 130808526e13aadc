"""Signatures of a served model, by the kind of model."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from keras_convbert.export import outputs
from keras_convbert.export import texts
from keras_convbert.types import Tensor

DEFAULT = "serving_default"


class TextSignature(NamedTuple):
    """A signature on raw strings."""

    inputs: tuple[str, ...]
    serve: Callable[..., dict[str, Tensor]]
    """Maps a model, its signature function on ids, the `RequestLimits` and one
    tensor of strings per input to named outputs."""


class Kind(NamedTuple):
    """How models of one kind are served."""

    name_outputs: Callable[[Any, Any], dict[str, Tensor]]
    """Maps a model and the outputs of its call to named outputs."""

    texts: Mapping[str, TextSignature]


TEXT = {"text": TextSignature(("text",), texts.sequences)}
TEXT_PAIR = {"text_pair": TextSignature(("text", "text_pair"), texts.sequences)}
QUESTION_ANSWER = {
    "question_answer": TextSignature(
        ("question", "context"), texts.question_answer
    )
}

PADDED = {
    "text": TextSignature(("text",), texts.padded_sequences),
    "text_pair": TextSignature(("text", "text_pair"), texts.padded_sequences),
}

# By the `task_kind` of a class.
KINDS: dict[str, Kind] = {
    "backbone": Kind(outputs.features, {}),
    "masked_lm": Kind(outputs.logits, {}),
    "text_classifier": Kind(outputs.classes, {**TEXT, **TEXT_PAIR}),
    "text_embedder": Kind(outputs.embedding, TEXT),
    "token_classifier": Kind(
        outputs.token_classes,
        {"tokens": TextSignature(("text",), texts.tokens)},
    ),
    "question_answerer": Kind(outputs.answer_logits, QUESTION_ANSWER),
    # A user's own model.
    "functional": Kind(outputs.functional, PADDED),
}


def export_kind(model: Any) -> Kind:
    """Returns how a model is served.

    Raises:
        ValueError: if it cannot be served.
    """
    kind = getattr(model, "task_kind", None)
    if kind in KINDS:
        return KINDS[kind]
    raise ValueError(
        "Expected a backbone, or a task of one of the kinds "
        f"{', '.join([*KINDS][1:-1])}, or a functional model whose inputs are "
        "the dict `backbone.input`. To export a pretrainer, pass its "
        "`.backbone`. "
        f"Received: model={model} (of type {type(model).__name__})"
    )


def model_title(model: Any) -> str:
    """Returns the class name of a model, for people."""
    return type(getattr(model, "model", model)).__name__


def text_signatures(model: Any) -> Mapping[str, TextSignature]:
    """Returns the signatures on raw strings that a model supports."""
    if getattr(model, "preprocessor", None) is None:
        return {}
    return export_kind(model).texts
