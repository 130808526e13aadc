"""Loads tokenizers and preprocessors from presets."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.files import AnyPath
from keras_convbert.models.presets.backbone_loading import deserialize
from keras_convbert.models.presets.errors import preset_errors
from keras_convbert.models.presets.family import family_of
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import PREPROCESSOR_FILE
from keras_convbert.models.presets.files import TOKENIZER_FILE
from keras_convbert.models.presets.preset import Preset

# Preprocessor arguments that `from_preset` of a task also accepts.
PREPROCESSOR_ARGUMENTS = (
    "max_question_length",
    "sequence_length",
    "stride",
    "truncate",
    "vocabulary",
)


def load_tokenizer(
    cls: type[Any],
    preset: AnyPath | Preset,
    arguments: dict[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Returns the tokenizer of a preset; `arguments` override the preset."""
    preset = _open(cls, preset, custom_objects)
    if preset.foreign_tokenizer is not None:
        with preset_errors(preset):
            found = preset.foreign_tokenizer.tokenizer_arguments(
                preset,
                arguments.pop("vocabulary", None),
                arguments.get("lowercase"),
            )
        return cls(**{**found, **arguments})
    preset.check(load_weights=False, needed=TOKENIZER_FILE)
    return _load_with_assets(cls, preset, TOKENIZER_FILE, arguments)


def load_preprocessor(
    cls: type[Any],
    preset: AnyPath | Preset,
    arguments: dict[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Returns the preprocessor of a preset; `arguments` override the preset.

    A preset of another task or of a tokenizer provides the tokenizer only.
    """
    preset = _open(cls, preset, custom_objects)
    if preset.foreign is None and preset.describes(PREPROCESSOR_FILE, cls):
        preset.check(load_weights=False, needed=TOKENIZER_FILE)
        return _load_with_assets(cls, preset, PREPROCESSOR_FILE, arguments)
    if "tokenizer" not in arguments:
        names = {"vocabulary"} & arguments.keys()
        given = {name: arguments.pop(name) for name in names}
        arguments["tokenizer"] = cls.tokenizer_cls.from_preset(preset, **given)
    arguments.setdefault("sequence_length", _longest(cls, preset))
    return cls(**arguments)


def task_preprocessor(
    cls: type[Any], preset: Preset, arguments: dict[str, Any]
) -> None:
    """Adds a preprocessor to the arguments of a task if there is none.

    It removes the arguments that only the preprocessor uses.
    """
    own: dict[str, Any] = {
        name: arguments.pop(name)
        for name in PREPROCESSOR_ARGUMENTS
        if name in arguments
    }
    if "preprocessor" in arguments:
        return
    if not preset.has_tokenizer and "vocabulary" not in own:
        warnings.warn(
            f"preset={preset.handle!r} has no vocabulary. {cls.__name__} takes "
            "token ids, not text. Pass `preprocessor=`, or `vocabulary=` for a "
            "preset in the format of another library.",
            stacklevel=5,
        )
        arguments["preprocessor"] = None
        return
    preprocessor_cls = cls.preprocessor_cls
    parameters = inspect.signature(preprocessor_cls).parameters
    if "labels" in parameters & arguments.keys():
        own["labels"] = arguments["labels"]
    arguments["preprocessor"] = preprocessor_cls.from_preset(preset, **own)


def _load_with_assets(
    cls: type[Any], preset: Preset, file: str, arguments: dict[str, Any]
) -> Any:
    with preset_errors(preset, ValueError), safe_loading():
        found = deserialize(preset, file, cls, arguments)
        found.load_preset_assets(preset.handle)
        return found


def _open(
    cls: type[Any],
    preset: AnyPath | Preset,
    custom_objects: Mapping[str, Any] | None,
) -> Preset:
    family = family_of(cls)
    if not isinstance(preset, Preset) and preset in family.architectures:
        raise ValueError(
            "Expected a preset with a tokenizer. "
            f"Received: preset={preset!r}, which names an architecture"
        )
    return Preset.open(preset, cls, custom_objects)


def _longest(cls: type[Any], preset: Preset) -> int:
    """Returns the default length, at most the limit of the backbone."""
    default: int = inspect.signature(cls).parameters["sequence_length"].default
    if preset.foreign is not None:
        return preset.foreign.sequence_length(cls, preset, default)
    config = preset.read(CONFIG_FILE)
    longest = config.get("config", {}).get("max_sequence_length")
    return default if longest is None else min(default, longest)
