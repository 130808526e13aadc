"""The record by which a model family describes itself to shared code."""

import dataclasses
import inspect
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import keras

from keras_convbert.models.presets.checkpoint_format import CheckpointFormat
from keras_convbert.models.presets.foreign_format import ForeignFormat
from keras_convbert.models.presets.size_limits import SizeRules
from keras_convbert.types import Config


@dataclasses.dataclass(frozen=True)
class Family:
    """Describes a model family.

    Args:
        name: string. The tag of the family on model cards.
        title: string. The name of the models in text, such as `"ConvBERT"`.
        size_rules: `SizeRules`. The size arguments in its configs.
        architectures: dict. Presets without weights: maps names to dicts of
            `config` (the arguments of a backbone), `description` and
            `params`. Defaults to `{}`.
        foreign: `ForeignFormat`. The format of another library that
            `from_preset` supports, or `None`. Defaults to `None`.
        checkpoints: tuple of `CheckpointFormat`. The formats of the authors.
            Defaults to `()`.
    """

    name: str
    title: str
    size_rules: SizeRules
    architectures: Mapping[str, Config] = dataclasses.field(
        default_factory=dict
    )
    foreign: ForeignFormat | None = None
    checkpoints: tuple[CheckpointFormat, ...] = ()


_backbone_classes: dict[str, type[Any]] = {}


def register_backbone(cls: type[Any]) -> None:
    """Registers a backbone class under the name of its family."""
    _backbone_classes[cls.family.name] = cls


def backbone_classes() -> list[type[Any]]:
    """Returns the registered backbone class of each family."""
    return [*_backbone_classes.values()]


def backbone_class(family: str) -> type[Any]:
    """Returns the backbone class of the family named `family`."""
    return _backbone_classes[family]


def family_of(cls: type[Any]) -> Family:
    """Returns the family of a model, preprocessor or tokenizer class."""
    family: Family = getattr(cls, "backbone_cls", cls).family
    return family


def classes_of(cls: type[Any]) -> list[type[Any]]:
    """Returns `cls` and the backbone, preprocessor and tokenizer it uses."""
    preprocessor = getattr(cls, "preprocessor_cls", cls)
    used = (
        cls,
        getattr(cls, "backbone_cls", None),
        preprocessor,
        getattr(preprocessor, "tokenizer_cls", None),
    )
    return [found for found in dict.fromkeys(used) if inspect.isclass(found)]


def task_classes(backbone_cls: type[Any]) -> Iterator[type[Any]]:
    """Yields the registered task classes that use `backbone_cls`."""
    for found in dict.fromkeys(keras.saving.get_custom_objects().values()):
        is_task = inspect.isclass(found) and hasattr(found, "task_kind")
        if is_task and getattr(found, "backbone_cls", None) is backbone_cls:
            yield found


def task_class(backbone_cls: type[Any], kind: str) -> type[Any]:
    """Returns the task class of a kind, such as `"pretrainer"`.

    Args:
        backbone_cls: the backbone class that the task uses.
        kind: string. The `task_kind` of the class.

    Raises:
        ValueError: if the family has no such task.
    """
    for found in task_classes(backbone_cls):
        if found.task_kind == kind:
            return found
    raise ValueError(
        f"Expected a family with a task of kind {kind!r}. "
        f"Received: family={backbone_cls.family.name!r}"
    )
