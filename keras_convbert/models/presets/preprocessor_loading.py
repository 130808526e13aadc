"""How tokenizers and preprocessors are made from presets."""

import inspect
import os
import warnings
from typing import Any

from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import KerasPresetLoader
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.transformers.files import is_transformers
from keras_convbert.models.convbert.transformers.tokenizer import has_tokenizer
from keras_convbert.models.convbert.transformers.tokenizer import (
    holds_their_tokenizer,
)
from keras_convbert.models.convbert.transformers.tokenizer import (
    tokenizer_arguments,
)
from keras_convbert.models.presets.checks import check_preset
from keras_convbert.models.presets.checks import preset_errors
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import PREPROCESSOR_FILE
from keras_convbert.models.presets.files import TOKENIZER_FILE
from keras_convbert.models.presets.files import is_of
from keras_convbert.models.presets.files import read

# Arguments of preprocessors that those of tasks may hold.
OF_PREPROCESSORS = (
    "max_question_length",
    "sequence_length",
    "stride",
    "truncate",
    "vocabulary",
)


def load_tokenizer(cls: Any, /, preset: str, **kwargs: Any) -> Any:
    """Makes a tokenizer from a preset.

    Args:
        preset: string. A folder, or the handle of one on a hub, of KerasHub's
            or of Hugging Face's form.
        **kwargs: arguments that replace those of the preset. With
            `vocabulary`, of a preset of Hugging Face's form, its own is not
            read.

    Returns:
        A `ConvBertTokenizer`.

    Raises:
        CheckpointError: if a file of the preset is damaged, or may do harm.
            It is a `ValueError`.
        FileNotFoundError: if the preset has no tokenizer.
        ValueError: if the vocabulary is damaged, or the tokenizer differs from
            BERT's.
    """
    preset = _with_files(preset)
    if is_transformers(preset) or holds_their_tokenizer(preset):
        with preset_errors(preset):
            found = tokenizer_arguments(preset, kwargs.pop("vocabulary", None))
        return cls(**{**found, **kwargs})
    check_preset(preset, load_weights=False, needed=TOKENIZER_FILE)
    with preset_errors(preset, ValueError), safe_loading():
        return _loader(preset).load_tokenizer(cls, **kwargs)


def load_preprocessor(cls: Any, /, preset: str, **kwargs: Any) -> Any:
    """Makes a preprocessor from a preset.

    Args:
        preset: string. A folder, or the handle of one on a hub, of KerasHub's
            or of Hugging Face's form; that of another task or of a tokenizer
            alone will do.
        **kwargs: arguments that replace those of the preset. Without
            `sequence_length` it is the preset's, or the class's default and
            at most what the preset's backbone takes. With `vocabulary`, of a
            preset of Hugging Face's form, its own is not read.

    Returns:
        A preprocessor of this class.

    Raises:
        CheckpointError: if a file of the preset is damaged, or may do harm.
            It is a `ValueError`.
        FileNotFoundError: if the preset has no tokenizer.
        ValueError: if the vocabulary is damaged, or the tokenizer differs from
            BERT's.
    """
    preset = _with_files(preset)
    if not is_transformers(preset) and is_of(preset, PREPROCESSOR_FILE, cls):
        check_preset(preset, load_weights=False, needed=TOKENIZER_FILE)
        with preset_errors(preset, ValueError), safe_loading():
            return _loader(preset).load_preprocessor(cls, **kwargs)
    if "tokenizer" not in kwargs:
        names = {"vocabulary"} & kwargs.keys()
        given = {name: kwargs.pop(name) for name in names}
        kwargs["tokenizer"] = load_tokenizer(cls.tokenizer_cls, preset, **given)
    kwargs.setdefault("sequence_length", _longest(cls, preset))
    return cls(**kwargs)


def task_preprocessor(cls: Any, preset: str, arguments: dict[str, Any]) -> None:
    """Gives the arguments of a task a preprocessor, unless they have one.

    Those that are the preprocessor's alone are taken out.
    """
    own: dict[str, Any] = {
        name: arguments.pop(name)
        for name in OF_PREPROCESSORS
        if name in arguments
    }
    if "preprocessor" in arguments:
        return
    if not has_tokenizer(preset) and "vocabulary" not in own:
        warnings.warn(
            f"preset={preset!r} has no vocabulary: {cls.__name__} takes token "
            "ids, not text. Give it one by `preprocessor=`, or, of a preset "
            "of Hugging Face's form, `vocabulary=`.",
            stacklevel=4,
        )
        arguments["preprocessor"] = None
        return
    kind = cls.preprocessor_cls
    if "labels" in inspect.signature(kind).parameters & arguments.keys():
        own["labels"] = arguments["labels"]
    arguments["preprocessor"] = kind.from_preset(preset, **own)


def _loader(preset: str) -> KerasPresetLoader:
    # KerasHub's `from_preset` wants a backbone beside a tokenizer.
    return KerasPresetLoader(preset, read(preset, CONFIG_FILE))


def _with_files(preset: str) -> str:
    if preset in ARCHITECTURES:
        raise ValueError(
            "Expected a preset with a tokenizer. "
            f"Received: preset={preset!r}, which names an architecture"
        )
    return os.fspath(preset)


def _longest(cls: Any, preset: str) -> int:
    """The longest sequence for a preprocessor and a preset's backbone."""
    default: int = inspect.signature(cls).parameters["sequence_length"].default
    config = read(preset, CONFIG_FILE)
    ours = config.get("config", {}).get("max_sequence_length", default)
    return min(default, config.get("max_position_embeddings", ours))
