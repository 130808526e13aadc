"""Detects the format of a checkpoint and opens the model in it."""

import os
from typing import Any

from keras_convbert.files import AnyPath
from keras_convbert.models.load_model import load_model
from keras_convbert.models.presets.checkpoint_format import CheckpointFormat
from keras_convbert.models.presets.family import backbone_class
from keras_convbert.models.presets.family import backbone_classes
from keras_convbert.models.presets.family import task_classes
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import TASK_FILE
from keras_convbert.models.presets.files import TOKENIZER_FILE
from keras_convbert.models.presets.preset import Preset


def source_format(source: str) -> str:
    """Returns `"keras"`, `"preset"`, or the name of a foreign format.

    Raises:
        ValueError: if `source` is not a checkpoint.
    """
    if source.endswith(".keras"):
        return "keras"
    checkpoint = checkpoint_format(source)
    if checkpoint is not None:
        return checkpoint.name
    foreign = open_preset(source).foreign
    return "preset" if foreign is None else foreign.name


def checkpoint_format(source: str) -> CheckpointFormat | None:
    """Returns the format of an original checkpoint, or `None`."""
    for cls in backbone_classes():
        for checkpoint in cls.family.checkpoints:
            if checkpoint.recognizes(source):
                found: CheckpointFormat = checkpoint
                return found
    return None


def open_preset(source: str) -> Preset:
    """Opens a preset with the family of its model.

    Raises:
        ValueError: if `source` is not a preset, or is the name of an
            architecture.
    """
    if "://" not in source and not os.path.isdir(source):
        titles = [
            checkpoint.title
            for cls in backbone_classes()
            for checkpoint in cls.family.checkpoints
        ]
        raise ValueError(
            "Expected a folder or a hub handle in the format of KerasHub or "
            "Hugging Face `transformers`, a .keras file, or "
            f"{', or '.join(titles)}. Received: source={source!r}"
        )
    errors = []
    for cls in backbone_classes():
        preset = Preset.open(source, cls)
        try:
            if preset.foreign is not None or _describes(preset, cls):
                return preset
        except ValueError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return Preset.open(source, backbone_classes()[0])


def _describes(preset: Preset, cls: type[Any]) -> bool:
    file = CONFIG_FILE if preset.find(CONFIG_FILE) else TOKENIZER_FILE
    names = {found.__name__ for found in [cls, *task_classes(cls)]}
    registered = str(preset.read(file).get("registered_name"))
    return registered.rpartition(">")[-1] in names


def open_source(source: str, vocabulary: AnyPath | None = None) -> Any:
    """Returns the model in a checkpoint and, for a backbone, the tokenizer.

    Args:
        source: string. Path or handle of the checkpoint.
        vocabulary: path. Vocabulary that replaces the one of the source.
            Defaults to `None`.
    """
    given = None if vocabulary is None else os.fspath(vocabulary)
    if source.endswith(".keras"):
        _refuse_vocabulary(given, source, "keras")
        return load_model(source), None
    checkpoint = checkpoint_format(source)
    if checkpoint is not None:
        model = checkpoint.load_backbone(source)
        return model, given and tokenizer_class(type(model))(given)
    preset = open_preset(source)
    if preset.foreign is None:
        _refuse_vocabulary(given, source, "preset")
    cls = class_in(preset)
    options = {} if given is None else {"vocabulary": given}
    if cls.task_kind != "backbone":
        return cls.from_preset(preset, **options), None
    model = cls.from_preset(preset)
    if given is None and not preset.has_tokenizer:
        return model, None
    return model, tokenizer_class(cls).from_preset(preset, **options)


def class_in(preset: Preset) -> type[Any]:
    """Returns the class whose weights are in the preset."""
    backbone_cls = backbone_class(preset.family.name)
    if preset.foreign is not None:
        name = preset.foreign.class_name(preset)
    else:
        registered = str(preset.read(TASK_FILE).get("registered_name"))
        name = registered.rpartition(">")[-1]
    for cls in task_classes(backbone_cls):
        if cls.__name__ == name:
            return cls
    return backbone_cls


def tokenizer_class(backbone_cls: type[Any]) -> type[Any]:
    """Returns the tokenizer class of the tasks of a family."""
    task = next(task_classes(backbone_cls))
    found: type[Any] = task.preprocessor_cls.tokenizer_cls
    return found


def _refuse_vocabulary(
    vocabulary: str | None, source: str, source_format: str
) -> None:
    if vocabulary is not None:
        raise ValueError(
            "Expected `vocabulary=None`: only Hugging Face folders and "
            "original checkpoints accept a vocabulary. Received: "
            f"vocabulary={vocabulary!r}, source={source!r}, in the format "
            f"{source_format!r}"
        )
