"""The heads of Hugging Face models."""

from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.types import Config


def our_class_name(cls: type[Any]) -> str | None:
    """The name of our class that `cls` is, if `transformers` has the like."""
    return next(
        (
            base.__name__
            for base in cls.__mro__
            if base.__name__ in names.HF_CLASSES
        ),
        None,
    )


def head_arguments(
    kind: str, source: ArraySource, config: Config
) -> dict[str, Any]:
    """Arguments of our class `kind` for the head in a folder."""
    if kind == "ConvBertMaskedLM":
        return {}
    if kind == "ConvBertQuestionAnswerer":
        return {"head": "linear"}
    dropout = config.get("classifier_dropout")
    if dropout is None:
        dropout = config.get(
            "hidden_dropout_prob", names.HF_DEFAULTS["dropout"]
        )
    if kind == "ConvBertTextClassifier":
        size = source.shapes.get("classifier.out_proj.bias", (0,))[0]
        return {"head": "dense", "num_classes": size, "dropout": dropout}
    size = source.shapes.get("classifier.bias", (0,))[0]
    return {"labels": _labels(config, size), "dropout": dropout}


def _labels(config: Config, size: int) -> list[str]:
    """The names of labels, `LABEL_0` and so on where the config has none."""
    found = config.get("id2label")
    found = found if isinstance(found, dict) else {}
    return [str(found.get(str(i), f"LABEL_{i}")) for i in range(size)]
