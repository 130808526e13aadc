"""Reads the heads of Hugging Face models."""

from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.sequence_summary import (
    summary_arguments,
)
from keras_convbert.types import Config


def our_class_name(cls: type[Any]) -> str | None:
    """Returns the name of the base of `cls` that `transformers` has too."""
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
    """Returns the arguments of class `kind` for the head of a checkpoint."""
    if kind == "ConvBertMaskedLM":
        return {}
    if kind == "ConvBertQuestionAnswerer":
        return {"head": "linear"}
    if kind == "ConvBertMultipleChoice":
        return summary_arguments(config)
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
    """Returns label names; missing ones are `LABEL_0`, `LABEL_1`, ..."""
    found = config.get("id2label")
    found = found if isinstance(found, dict) else {}
    return [str(found.get(str(i), f"LABEL_{i}")) for i in range(size)]
