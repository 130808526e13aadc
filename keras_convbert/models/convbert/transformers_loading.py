"""Models and tokenizers of Hugging Face's, as ours."""

import inspect
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.models.convbert import convbert_weight_names as names
from keras_convbert.models.convbert.preset_files import CONFIG_FILE
from keras_convbert.models.convbert.preset_files import read
from keras_convbert.models.convbert.transformers_config import (
    backbone_arguments,
)
from keras_convbert.models.convbert.transformers_files import open_arrays
from keras_convbert.models.convbert.transformers_weights import holds_head
from keras_convbert.models.convbert.transformers_weights import load_weights
from keras_convbert.types import Config


def load_backbone(
    cls: type[keras_hub.models.Backbone],
    preset: str,
    with_weights: bool,
    arguments: dict[str, Any],
) -> Any:
    """Makes the backbone of a preset of Hugging Face's."""
    source = open_arrays(preset) if with_weights else None
    backbone = _make_backbone(cls, read(preset, CONFIG_FILE), source, arguments)
    if source is not None:
        load_weights(source, backbone)
    return backbone


def load_task(
    cls: type[keras_hub.models.Task],
    preset: str,
    with_weights: bool,
    arguments: dict[str, Any],
) -> tuple[Any, bool]:
    """Makes a task of a preset of Hugging Face's; whether it has its head."""
    config = read(preset, CONFIG_FILE)
    source = open_arrays(preset) if with_weights else None
    kind = kind_of(cls)
    has_head = _takes_head(source, kind, arguments)
    if not has_head:
        check_num_classes(cls, preset, arguments)
    arguments = dict(arguments)
    of_backbone = {"dtype": arguments.pop("dtype", None)}
    backbone = _make_backbone(cls.backbone_cls, config, source, of_backbone)
    if source is not None and has_head:
        arguments = {**_head_arguments(kind, source, config), **arguments}
    task = cls(backbone=backbone, **arguments)
    if source is not None:
        named = (head_weights(task), kind) if has_head else ()
        load_weights(source, backbone, *named)
    return task, has_head


def head_weights(task: keras_hub.models.Task) -> list[keras.Variable]:
    """The weights of a task that are not its backbone's."""
    of_backbone = {id(weight) for weight in task.backbone.weights}
    return [w for w in task.weights if id(w) not in of_backbone]


def check_num_classes(
    cls: type[keras_hub.models.Task], preset: str, arguments: dict[str, Any]
) -> None:
    """Raises `ValueError` if a new head is to be made without its size."""
    wanted = "num_classes" in inspect.signature(cls.__init__).parameters
    if wanted and "num_classes" not in arguments:
        raise ValueError(
            f"The preset has no head for {cls.__name__}. Expected "
            f"`num_classes`, to make a new one. Received: preset={preset!r}"
        )


def kind_of(cls: type[keras_hub.models.Task]) -> str | None:
    """The class of ours, of those that Hugging Face has, that `cls` is."""
    return next(
        (
            base.__name__
            for base in cls.__mro__
            if base.__name__ in names.HF_CLASSES
        ),
        None,
    )


def _make_backbone(
    cls: type[keras_hub.models.Backbone],
    config: Config,
    source: ArraySource | None,
    arguments: dict[str, Any],
) -> Any:
    found = backbone_arguments(config, source)
    return cls(**{**found, "mask_conv": False, **arguments})


def _takes_head(
    source: ArraySource | None, kind: str | None, arguments: dict[str, Any]
) -> bool:
    """Whether the head of the file is the one asked for."""
    if source is None or kind is None or "num_classes" in arguments:
        return False
    if arguments.get("head", "dense") != "dense":
        return False
    return holds_head(source, kind)


def _head_arguments(
    kind: str | None, source: ArraySource, config: Config
) -> dict[str, Any]:
    if kind != "ConvBertTextClassifier":
        return {}
    dropout = config.get("classifier_dropout")
    if dropout is None:
        dropout = config.get(
            "hidden_dropout_prob", names.HF_DEFAULTS["dropout"]
        )
    return {
        "head": "dense",
        "num_classes": source.shapes.get("classifier.out_proj.bias", (0,))[0],
        "dropout": dropout,
    }
