"""What a model family says of itself to code that knows no family."""

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
    """The record of a model family.

    Args:
        name: string. Tag of the family on model cards.
        title: string. What sentences call the models, as `"ConvBERT"`.
        size_rules: `SizeRules`. The sizes in its configurations.
        architectures: dict of names to dicts with `config`, the arguments of
            a backbone, `description` and `params`: presets without weights.
            Defaults to `{}`.
        foreign: `ForeignFormat`. The format of another library that
            `from_preset` opens; `None` if there is none. Defaults to `None`.
        checkpoints: tuple of `CheckpointFormat`. Defaults to `()`.
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
    """Makes the backbone class of a family known by the name of the family."""
    _backbone_classes[cls.family.name] = cls


def backbone_classes() -> list[type[Any]]:
    """The backbone class of each family."""
    return [*_backbone_classes.values()]


def backbone_class(family: str) -> type[Any]:
    """The backbone class of the family called `family`."""
    return _backbone_classes[family]


def family_of(cls: type[Any]) -> Family:
    """The family of a backbone, a task, a preprocessor or a tokenizer."""
    family: Family = getattr(cls, "backbone_cls", cls).family
    return family


def task_classes(backbone_cls: type[Any]) -> Iterator[type[Any]]:
    """The registered tasks of the models with `backbone_cls`."""
    for found in dict.fromkeys(keras.saving.get_custom_objects().values()):
        is_task = inspect.isclass(found) and hasattr(found, "task_kind")
        if is_task and getattr(found, "backbone_cls", None) is backbone_cls:
            yield found


def task_class(backbone_cls: type[Any], kind: str) -> type[Any]:
    """The task of a kind, as `"pretrainer"`, for `backbone_cls`.

    Raises:
        ValueError: if the family has none.
    """
    for found in task_classes(backbone_cls):
        if found.task_kind == kind:
            return found
    raise ValueError(
        f"Expected a family with a task {kind!r}. "
        f"Received: family={backbone_cls.family.name!r}"
    )
