"""Reads and writes Hugging Face tokenizers."""

import dataclasses
import json
import os
import pathlib
import warnings
from typing import Any

import keras_hub
import tokenizers

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath
from keras_convbert.files import write_text
from keras_convbert.models.convbert.transformers.added_tokens import (
    ADDED_TOKENS_FILE,
)
from keras_convbert.models.convbert.transformers.added_tokens import (
    read_added_tokens,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    CONFIG_FILE,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    GENERIC_TOKENIZERS,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    SPECIAL_TOKENS,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    SPECIAL_TOKENS_FILE,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    check_tokenizer_config,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    content_of,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    max_length,
)
from keras_convbert.models.convbert.transformers.tokenizer_json import (
    TOKENIZER_FILE,
)
from keras_convbert.models.convbert.transformers.tokenizer_json import (
    check_tokenizer_json,
)
from keras_convbert.models.convbert.transformers.tokenizer_json import (
    normalizer_settings,
)
from keras_convbert.models.presets.files import CONFIG_FILE as MODEL_FILE
from keras_convbert.models.presets.preset import Preset
from keras_convbert.text.added_tokens import AddedToken
from keras_convbert.text.bert_pretokenizer import MAX_CHARACTERS_PER_WORD
from keras_convbert.text.vocabulary import read_vocabulary
from keras_convbert.types import Config

VOCABULARY_FILE = "vocab.txt"
MAX_BYTES = 2**26


def has_tokenizer(preset: Preset) -> bool:
    """Whether `preset` holds tokenizer files."""
    files = (VOCABULARY_FILE, TOKENIZER_FILE)
    return any(preset.find(name) for name in files)


def holds_tokenizer_alone(preset: Preset) -> bool:
    """Whether `preset` holds only a Hugging Face tokenizer."""
    if preset.find(MODEL_FILE) is not None:
        return False
    if preset.find(VOCABULARY_FILE) is not None:
        return True
    return "model" in preset.read(TOKENIZER_FILE, MAX_BYTES)


def tokenizer_arguments(
    preset: Preset, vocabulary: Any = None, lowercase: bool | None = None
) -> dict[str, Any]:
    """Returns the arguments of `ConvBertTokenizer` for a preset.

    Args:
        preset: the open `Preset`.
        vocabulary: list of strings, or the path of a file, that replaces the
            vocabulary of the preset. Defaults to `None`.
        lowercase: bool. Overrides the preset; `None` does not. Defaults to
            `None`.

    Raises:
        ValueError: if a setting cannot be honored, or the files contradict
            each other.
        CheckpointError: if the ids of the vocabulary have gaps.
    """
    config = _read_config(preset)
    whole = preset.read(TOKENIZER_FILE, MAX_BYTES)
    check_tokenizer_config(config, bool(whole), preset.handle)
    if whole:
        check_tokenizer_json(whole, preset.handle)
    settings = _cleaning(config, whole, preset)
    if lowercase is not None:
        settings["do_lower_case"] = lowercase
    if vocabulary is None:
        vocabulary = _vocabulary(whole, preset)
    elif isinstance(vocabulary, str | os.PathLike):
        vocabulary = read_vocabulary(vocabulary)
    vocabulary = [*vocabulary]
    if settings.get("do_lower_case") is None:
        _warn_of_capitals(vocabulary, preset)
    added = read_added_tokens(
        whole,
        config,
        preset.read(ADDED_TOKENS_FILE),
        vocabulary,
        preset.handle,
    )
    longest_word = (whole.get("model") or {}).get("max_input_chars_per_word")
    found = {
        "lowercase": settings.get("do_lower_case"),
        "strip_accents": settings.get("strip_accents"),
        "max_input_chars_per_word": longest_word,
        "added_tokens": added or None,
    }
    kept = {name: value for name, value in found.items() if value is not None}
    return {"vocabulary": vocabulary, **kept}


def _cleaning(config: Config, whole: Config, preset: Preset) -> Config:
    """Returns how texts are cleaned; `None` where no file says it."""
    names = ("do_lower_case", "strip_accents")
    settings = {name: config.get(name) for name in names}
    if not whole:
        return settings
    normalizer = normalizer_settings(whole)
    effective = dict(normalizer)
    if normalizer["strip_accents"] is None:
        effective["strip_accents"] = normalizer["do_lower_case"]
    for name in names:
        if settings[name] not in (None, effective[name]):
            raise ValueError(
                f"Expected {CONFIG_FILE!r} and {TOKENIZER_FILE!r} to agree. "
                f"Received: {name}={settings[name]!r} and "
                f"{effective[name]!r} in preset={preset.handle!r}"
            )
    return normalizer


def max_sequence_length(preset: Preset) -> int | None:
    """Returns the maximum length that the tokenizer of a preset sets."""
    return max_length(preset.read(CONFIG_FILE))


def _read_config(preset: Preset) -> Config:
    """Returns the tokenizer config with what other files say of it."""
    config = preset.read(CONFIG_FILE)
    listed = preset.read(SPECIAL_TOKENS_FILE)
    for key, value in listed.items():
        ours, theirs = _contents(config.get(key, value)), _contents(value)
        if ours != theirs:
            raise ValueError(
                f"Expected {CONFIG_FILE!r} and {SPECIAL_TOKENS_FILE!r} to "
                f"agree. Received: {key}={ours!r} and {theirs!r} in "
                f"preset={preset.handle!r}"
            )
        # These entries may have flags.
        config[key] = config.get(key) if isinstance(value, str) else value
        if config[key] is None:
            config[key] = value
    if config.get("tokenizer_class") is None:
        model = preset.read(MODEL_FILE)
        config["tokenizer_class"] = model.get("tokenizer_class")
    return config


def _contents(tokens: Any) -> Any:
    if isinstance(tokens, list):
        return [content_of(token) for token in tokens]
    return content_of(tokens)


def _warn_of_capitals(vocabulary: list[str], preset: Preset) -> None:
    with_capitals = [
        token
        for token in vocabulary
        if isinstance(token, str)
        and token != token.lower()
        and not token.startswith("[")
    ]
    if with_capitals:
        warnings.warn(
            "No file says whether the tokenizer lowercases; lowercase=True is "
            f"assumed, as in `transformers`. {len(with_capitals)} tokens of "
            f"the vocabulary, such as {with_capitals[:3]}, are then never "
            "used. Pass `lowercase=False` to the tokenizer for a cased model. "
            f"Received: preset={preset.handle!r}",
            stacklevel=2,
        )


def write_tokenizer(
    tokenizer: keras_hub.tokenizers.Tokenizer,
    folder: AnyPath,
    max_length: int | None = None,
) -> None:
    """Writes the three tokenizer files that `transformers` loads."""
    folder = pathlib.Path(folder)
    vocabulary = tokenizer.model_vocabulary
    default = tokenizer.max_input_chars_per_word == MAX_CHARACTERS_PER_WORD
    config = {
        # `transformers` 5 ignores `tokenizer.json` for a class with a name.
        "tokenizer_class": "ConvBertTokenizer"
        if default
        else GENERIC_TOKENIZERS[0],
        "do_lower_case": tokenizer.lowercase,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": True,
        **SPECIAL_TOKENS,
    }
    if max_length is not None:
        config["model_max_length"] = max_length
    if tokenizer.added_tokens:
        _write_added_tokens(tokenizer, config, folder)
    write_text(
        folder / VOCABULARY_FILE, "".join(f"{token}\n" for token in vocabulary)
    )
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
    write_text(
        folder / TOKENIZER_FILE,
        _rust_tokenizer(tokenizer).to_str(pretty=True),
    )


def _write_added_tokens(
    tokenizer: keras_hub.tokenizers.Tokenizer,
    config: Config,
    folder: pathlib.Path,
) -> None:
    """Writes the new ids, and adds all added tokens to `config`."""
    special = [
        AddedToken(token, normalized=False, special=True)
        for token in SPECIAL_TOKENS.values()
    ]
    config["added_tokens_decoder"] = {
        str(tokenizer.token_to_id(token.content)): dataclasses.asdict(token)
        for token in [*special, *tokenizer.added_tokens]
    }
    size = len(tokenizer.model_vocabulary)
    new = {
        token: size + i for i, token in enumerate(tokenizer.vocabulary[size:])
    }
    write_text(folder / ADDED_TOKENS_FILE, json.dumps(new, indent=2) + "\n")


def _rust_tokenizer(
    tokenizer: keras_hub.tokenizers.Tokenizer,
) -> tokenizers.Tokenizer:
    rust = tokenizer.rust_tokenizer(special_tokens_in_strings=True)
    rust.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[
            ("[CLS]", tokenizer.cls_token_id),
            ("[SEP]", tokenizer.sep_token_id),
        ],
    )
    rust.decoder = tokenizers.decoders.WordPiece(prefix="##", cleanup=True)
    return rust


def _vocabulary(whole: Config, preset: Preset) -> list[str]:
    """Returns the tokens in the order of their ids."""
    path = preset.find(VOCABULARY_FILE)
    listed = None if path is None else read_vocabulary(path)
    if whole or listed is None:
        tokens = _in_order(whole, preset)
        if listed is not None and listed != tokens:
            raise ValueError(
                f"Expected {VOCABULARY_FILE!r} and {TOKENIZER_FILE!r} to hold "
                "the same vocabulary. Pass the correct one as `vocabulary=`. "
                f"Received: preset={preset.handle!r}"
            )
        return tokens
    return listed


def _in_order(whole: Config, preset: Preset) -> list[str]:
    ids = whole.get("model", {}).get("vocab")
    if not isinstance(ids, dict) or not all(
        isinstance(number, int) for number in ids.values()
    ):
        raise FileNotFoundError(
            f"Expected a vocabulary in {VOCABULARY_FILE!r} or "
            f"{TOKENIZER_FILE!r}. Received: preset={preset.handle!r}"
        )
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != [*range(len(tokens))]:
        raise CheckpointError(
            "Expected the ids of the vocabulary to start at 0, without gaps. "
            "Repeated tokens of a damaged vocabulary leave gaps: pass an "
            "undamaged one as `vocabulary=`. "
            f"Received: {os.path.join(preset.handle, TOKENIZER_FILE)!r}"
        )
    return tokens
