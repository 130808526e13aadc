"""Reads and writes Hugging Face tokenizers."""

import json
import os
import pathlib
from typing import Any

import keras_hub
import tokenizers

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath
from keras_convbert.files import write_text
from keras_convbert.models.presets.files import CONFIG_FILE as MODEL_FILE
from keras_convbert.models.presets.preset import Preset
from keras_convbert.text import bert_pretokenizer
from keras_convbert.text.vocabulary import read_vocabulary
from keras_convbert.types import Config

VOCABULARY_FILE = "vocab.txt"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
MAX_BYTES = 2**26
SPECIAL_TOKENS = {
    f"{name}_token": f"[{name.upper()}]"
    for name in ("pad", "unk", "cls", "sep", "mask")
}


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
    preset: Preset, vocabulary: Any = None
) -> dict[str, Any]:
    """Returns the arguments of `ConvBertTokenizer` for a preset.

    Args:
        preset: the open `Preset`.
        vocabulary: list of strings, or the path of a file, that replaces the
            vocabulary of the preset. Defaults to `None`.

    Raises:
        ValueError: if special tokens or splitting differ from those of BERT.
        CheckpointError: if the ids of the vocabulary have gaps.
    """
    config = preset.read(CONFIG_FILE)
    whole = preset.read(TOKENIZER_FILE, MAX_BYTES)
    if whole:
        _check_splitting(whole, preset)
    normalizer = _normalizer(whole)
    for name, of_whole in normalizer.items():
        if config.get(name, of_whole) not in (of_whole, None):
            raise ValueError(
                f"Expected {CONFIG_FILE!r} and {TOKENIZER_FILE!r} to agree. "
                f"Received: {name}={config[name]!r} and {of_whole!r} in "
                f"preset={preset.handle!r}"
            )
    config = {**config, **normalizer}
    for name, ours in SPECIAL_TOKENS.items():
        theirs = config.get(name, ours)
        if isinstance(theirs, dict):
            theirs = theirs.get("content")
        if theirs != ours:
            raise ValueError(
                f"Expected {name} to be {ours!r}. Received: {theirs!r} in "
                f"preset={preset.handle!r}"
            )
    if config.get("tokenize_chinese_chars") is False:
        raise ValueError(
            "Expected a tokenizer that splits Chinese characters. "
            "Received: tokenize_chinese_chars=False in "
            f"preset={preset.handle!r}"
        )
    if vocabulary is None:
        vocabulary = _vocabulary(whole, preset)
    return {
        "vocabulary": vocabulary,
        "lowercase": config.get("do_lower_case", True),
        "strip_accents": config.get("strip_accents"),
    }


def write_tokenizer(
    tokenizer: keras_hub.tokenizers.Tokenizer,
    folder: AnyPath,
    max_length: int | None = None,
) -> None:
    """Writes the three tokenizer files that `transformers` loads."""
    folder = pathlib.Path(folder)
    vocabulary = tokenizer.get_vocabulary()
    config = {
        "tokenizer_class": "ConvBertTokenizer",
        "do_lower_case": tokenizer.lowercase,
        "strip_accents": tokenizer.strip_accents,
        "tokenize_chinese_chars": True,
        **SPECIAL_TOKENS,
    }
    if max_length is not None:
        config["model_max_length"] = max_length
    write_text(
        folder / VOCABULARY_FILE, "".join(f"{token}\n" for token in vocabulary)
    )
    write_text(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
    write_text(
        folder / TOKENIZER_FILE,
        _rust_tokenizer(tokenizer, vocabulary).to_str(pretty=True),
    )


def _rust_tokenizer(
    tokenizer: keras_hub.tokenizers.Tokenizer, vocabulary: list[str]
) -> tokenizers.Tokenizer:
    rust = bert_pretokenizer.wordpiece_tokenizer(
        vocabulary,
        tokenizer.unk_token,
        tokenizer.lowercase,
        tokenizer.strip_accents,
        [*SPECIAL_TOKENS.values()],
    )
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


def _normalizer(whole: Config) -> Config:
    """Returns the text-cleaning settings of `tokenizer.json`."""
    normalizer = whole.get("normalizer") or {}
    found = {
        "do_lower_case": normalizer.get("lowercase"),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _check_splitting(whole: Config, preset: Preset) -> None:
    """Raises `ValueError` if `tokenizer.json` is not a BERT WordPiece."""
    model = whole.get("model") or {}
    found = {
        "normalizer": (whole.get("normalizer") or {}).get("type"),
        "pre_tokenizer": (whole.get("pre_tokenizer") or {}).get("type"),
        "model": model.get("type", "WordPiece"),
        "unk_token": model.get("unk_token"),
        "prefix": model.get("continuing_subword_prefix"),
    }
    wanted = {
        "normalizer": "BertNormalizer",
        "pre_tokenizer": "BertPreTokenizer",
        "model": "WordPiece",
        "unk_token": SPECIAL_TOKENS["unk_token"],
        "prefix": "##",
    }
    other = {n: v for n, v in found.items() if v != wanted[n]}
    added = {
        token["content"]
        for token in whole.get("added_tokens") or []
        if token["content"] not in SPECIAL_TOKENS.values()
    }
    if added:
        other["added_tokens"] = sorted(added)
    if other:
        raise ValueError(
            f"Expected a BERT WordPiece tokenizer, {wanted}, without "
            f"added tokens. Received: {other} in preset={preset.handle!r}"
        )


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
            f"Received: {os.path.join(preset.handle, TOKENIZER_FILE)!r}"
        )
    return tokens
