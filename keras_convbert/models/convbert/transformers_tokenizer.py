"""Tokenizers of Hugging Face's, and how ours becomes one."""

import json
import os
import pathlib
from typing import Any

import keras_hub
import tokenizers

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath
from keras_convbert.files import write_text
from keras_convbert.models.convbert import bert_text
from keras_convbert.models.convbert.preset_files import find
from keras_convbert.models.convbert.preset_files import read
from keras_convbert.models.convbert.vocabulary import read_vocabulary
from keras_convbert.types import Config

VOCABULARY_FILE = "vocab.txt"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
MAX_BYTES = 2**26
SPECIAL_TOKENS = {
    f"{name}_token": f"[{name.upper()}]"
    for name in ("pad", "unk", "cls", "sep", "mask")
}


def has_tokenizer(preset: str) -> bool:
    files = (VOCABULARY_FILE, TOKENIZER_FILE)
    return any(find(preset, name) for name in files)


def tokenizer_arguments(preset: str, vocabulary: Any = None) -> dict[str, Any]:
    """Arguments of the `ConvBertTokenizer` that is in a preset.

    Args:
        preset: string. Folder or handle.
        vocabulary: what to take in the place of the preset's own.

    Raises:
        ValueError: if its special tokens or its splitting differ from BERT's.
        CheckpointError: if the ids of its vocabulary have holes.
    """
    config = read(preset, CONFIG_FILE)
    whole = read(preset, TOKENIZER_FILE, MAX_BYTES)
    config = {**_normalizer(whole), **config}
    for name, ours in SPECIAL_TOKENS.items():
        theirs = config.get(name, ours)
        if isinstance(theirs, dict):
            theirs = theirs.get("content")
        if theirs != ours:
            raise ValueError(
                f"Expected {name} to be {ours!r}. Received: {theirs!r} in "
                f"preset={preset!r}"
            )
    if config.get("tokenize_chinese_chars") is False:
        raise ValueError(
            "Expected a tokenizer that sets Chinese characters apart. "
            f"Received: tokenize_chinese_chars=False in preset={preset!r}"
        )
    if vocabulary is None:
        path = find(preset, VOCABULARY_FILE)
        if path is not None:
            vocabulary = read_vocabulary(path)
        else:
            vocabulary = _in_order(whole, preset)
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
    """Writes the three files that `transformers` reads a tokenizer from."""
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
    rust = bert_text.rust_tokenizer(
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
    """What `tokenizer.json` says of the cleaning of texts."""
    normalizer = whole.get("normalizer") or {}
    found = {
        "do_lower_case": normalizer.get("lowercase"),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _in_order(whole: Config, preset: str) -> list[str]:
    ids = whole.get("model", {}).get("vocab")
    if not isinstance(ids, dict) or not all(
        isinstance(number, int) for number in ids.values()
    ):
        raise FileNotFoundError(
            f"Expected a vocabulary in {VOCABULARY_FILE!r} or "
            f"{TOKENIZER_FILE!r}. Received: preset={preset!r}"
        )
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != [*range(len(tokens))]:
        raise CheckpointError(
            "Expected the ids of the vocabulary to go from 0 on without holes. "
            f"Received: {os.path.join(preset, TOKENIZER_FILE)!r}"
        )
    return tokens
