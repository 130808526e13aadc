"""Reads the heads of Hugging Face models."""

import warnings
from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.models.base import problem_types
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
    """Returns the arguments of class `kind` for the head of a checkpoint.

    Raises:
        ValueError: if a setting of the head is not supported.
    """
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
        return {
            "head": "dense",
            "num_classes": size,
            "dropout": dropout,
            "labels": _class_names(config, size),
            **_problem_type(config, size),
        }
    size = source.shapes.get("classifier.bias", (0,))[0]
    labels = _class_names(config, size) or _default_names(size)
    return {"labels": labels, "dropout": dropout}


def _problem_type(config: Config, size: int) -> Config:
    """Returns the arguments that the key `problem_type` implies."""
    found = config.get("problem_type")
    if found not in (None, *problem_types.PROBLEM_TYPES):
        raise ValueError(
            "Expected `problem_type` to be one of "
            f"{problem_types.PROBLEM_TYPES} in config.json. "
            f"Received: problem_type={found!r}"
        )
    if found == problem_types.SINGLE_LABEL and size == 1:
        raise ValueError(
            "Expected at least 2 classes in config.json. "
            f"Received: problem_type={found!r}, num_labels={size}"
        )
    if found == problem_types.MULTI_LABEL:
        return {"activation": "sigmoid", "problem_type": found}
    if found == problem_types.REGRESSION and size > 1:
        return {"problem_type": found}
    return {}


def _class_names(config: Config, size: int) -> list[str] | None:
    """Returns the names of classes; `None` if they are the default names."""
    found = config.get("id2label")
    if found is None:
        return None
    if not isinstance(found, dict) or {*map(str, found)} != {
        *map(str, range(size))
    }:
        raise ValueError(
            f"Expected `id2label` to name the ids 0 to {size - 1} in "
            f"config.json, as the head has {size} outputs. "
            f"Received: id2label={found!r:.200}"
        )
    by_id = {str(i): label for i, label in found.items()}
    labels = [by_id[str(i)] for i in range(size)]
    unique = {label for label in labels if isinstance(label, str) and label}
    if len(unique) < size:
        raise ValueError(
            "Expected `id2label` to have a different name for each class in "
            f"config.json. Received: id2label={found!r:.200}"
        )
    other = config.get("label2id")
    if other and other != {label: i for i, label in enumerate(labels)}:
        warnings.warn(
            "`id2label` and `label2id` in config.json disagree. The class "
            f"names are those of `id2label`: {labels}. "
            f"Received: label2id={other!r:.200}",
            stacklevel=2,
        )
    return None if labels == _default_names(size) else labels


def _default_names(size: int) -> list[str]:
    return [f"LABEL_{i}" for i in range(size)]
