"""Models and tokenizers of Hugging Face's, as ours."""

import inspect
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.config import (
    backbone_arguments,
)
from keras_convbert.models.convbert.transformers.files import open_arrays
from keras_convbert.models.convbert.transformers.weights import (
    checkpoint_has_head,
)
from keras_convbert.models.convbert.transformers.weights import load_weights
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import read
from keras_convbert.models.presets.preprocessor_loading import task_preprocessor
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
    kind = transformers_class_name(cls)
    arguments = dict(arguments)
    has_head = False
    if (
        source is not None
        and kind is not None
        and checkpoint_has_head(source, kind)
    ):
        head = _head_arguments(kind, source, config)
        if reuses_saved_head(head, arguments):
            arguments = {**head, **arguments}
            has_head = True
    if not has_head:
        check_head_size(cls, preset, arguments)
    task_preprocessor(cls, preset, arguments)
    of_backbone = {"dtype": arguments.pop("dtype", None)}
    backbone = _make_backbone(cls.backbone_cls, config, source, of_backbone)
    task = cls(backbone=backbone, **arguments)
    if source is not None:
        named = (head_weights(task), kind) if has_head else ()
        load_weights(source, backbone, *named)
    return task, has_head


def head_weights(task: keras_hub.models.Task) -> list[keras.Variable]:
    """The weights of a task that are not its backbone's."""
    of_backbone = {id(weight) for weight in task.backbone.weights}
    return [w for w in task.weights if id(w) not in of_backbone]


def check_head_size(
    cls: type[keras_hub.models.Task], preset: str, arguments: dict[str, Any]
) -> None:
    """Raises `ValueError` if a new head is to be made without its size."""
    parameters = inspect.signature(cls.__init__).parameters
    for name in ("num_classes", "labels"):
        if name in parameters and name not in arguments:
            raise ValueError(
                f"The preset has no head for {cls.__name__}. Expected "
                f"`{name}`, to make a new one. Received: preset={preset!r}"
            )


def transformers_class_name(cls: type[keras_hub.models.Task]) -> str | None:
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


def reuses_saved_head(head: dict[str, Any], arguments: dict[str, Any]) -> bool:
    """Whether a head of these arguments is the one asked for."""
    # As KerasHub has it, who gives a number of classes wants a new head.
    if "num_classes" in arguments:
        return False
    return all(
        arguments.get(name, head.get(name)) == head.get(name)
        for name in ("head", "labels")
    )


def _head_arguments(
    kind: str, source: ArraySource, config: Config
) -> dict[str, Any]:
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
    """The names of labels, of their form where the config has none."""
    found = config.get("id2label")
    found = found if isinstance(found, dict) else {}
    return [str(found.get(str(i), f"LABEL_{i}")) for i in range(size)]
