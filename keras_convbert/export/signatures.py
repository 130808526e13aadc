"""What a served model answers to, by the kind of model."""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from keras_convbert.export import outputs
from keras_convbert.export import texts
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextEmbedder
from keras_convbert.models import ConvBertTokenClassifier
from keras_convbert.types import Tensor

DEFAULT = "serving_default"


class TextSignature(NamedTuple):
    """A signature on raw strings."""

    inputs: tuple[str, ...]
    serve: Callable[..., dict[str, Tensor]]
    """From a model, the function of its signature on ids, and a tensor of
    strings for each input."""


class Kind(NamedTuple):
    """How the models of a class are served."""

    name_outputs: Callable[[Any, Any], dict[str, Tensor]]
    """From a model, and what a call of it gave."""

    texts: Mapping[str, TextSignature]


TEXT = {"text": TextSignature(("text",), texts.sequences)}
TEXT_PAIR = {"text_pair": TextSignature(("text", "text_pair"), texts.sequences)}
QUESTION_ANSWER = {
    "question_answer": TextSignature(
        ("question", "context"), texts.question_answer
    )
}

KINDS: dict[type, Kind] = {
    ConvBertBackbone: Kind(outputs.features, {}),
    ConvBertMaskedLM: Kind(outputs.logits, {}),
    ConvBertTextClassifier: Kind(outputs.classes, {**TEXT, **TEXT_PAIR}),
    ConvBertTextEmbedder: Kind(outputs.embedding, TEXT),
    ConvBertTokenClassifier: Kind(
        outputs.token_classes,
        {"tokens": TextSignature(("text",), texts.tokens)},
    ),
    ConvBertQuestionAnswerer: Kind(outputs.answer_logits, QUESTION_ANSWER),
}


def export_kind(model: Any) -> Kind:
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


def text_signatures(model: Any) -> Mapping[str, TextSignature]:
    """The signatures on raw strings that a model can have."""
    if getattr(model, "preprocessor", None) is None:
        return {}
    return export_kind(model).texts
