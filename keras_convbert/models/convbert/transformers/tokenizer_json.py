"""Which settings of `tokenizer.json` are understood."""

import reprlib
from typing import Any

from keras_convbert.models.convbert.transformers.tokenizer_config import (
    SPECIAL_TOKENS,
)
from keras_convbert.types import Config

TOKENIZER_FILE = "tokenizer.json"


class _Any:
    """Stands for every value of a setting that does not change results."""

    def __contains__(self, value: object) -> bool:
        return True


ANY = _Any()
FLAG = (None, True, False)
# By section, the values of each key with which ids are those of this library.
SECTIONS: dict[str, dict[str, Any]] = {
    "normalizer": {
        "type": ("BertNormalizer",),
        "clean_text": (True,),
        "handle_chinese_chars": (True,),
        "strip_accents": FLAG,
        "lowercase": FLAG[1:],
    },
    "pre_tokenizer": {"type": ("BertPreTokenizer",)},
    # Texts of ids are joined by this library.
    "decoder": {
        "type": ("WordPiece",),
        "prefix": ("##",),
        "cleanup": FLAG[1:],
    },
    "model": {
        "type": ("WordPiece",),
        "unk_token": (SPECIAL_TOKENS["unk_token"],),
        "continuing_subword_prefix": ("##",),
        "max_input_chars_per_word": ANY,
        "vocab": ANY,
    },
    # Preprocessors pad and truncate to their `sequence_length`.
    "truncation": {
        "direction": ("Right",),
        "max_length": ANY,
        "strategy": ANY,
        "stride": ANY,
    },
    "padding": {
        "strategy": ANY,
        "direction": ("Right",),
        "pad_to_multiple_of": ANY,
        "pad_id": ANY,
        "pad_type_id": (0,),
        "pad_token": (SPECIAL_TOKENS["pad_token"],),
    },
}
OPTIONAL = ("decoder", "truncation", "padding")
# What a file may leave out.
DEFAULTS = {"model": {"type": "WordPiece"}}


def check_tokenizer_json(whole: Config, where: str) -> None:
    """Raises `ValueError` for the settings that this library cannot honor.

    Args:
        whole: dict. The content of `tokenizer.json`.
        where: string. The preset, for the message.
    """
    problems = []
    for section, allowed in SECTIONS.items():
        found = unwrapped(whole, section)
        if found is None and section in OPTIONAL:
            continue
        if not isinstance(found, dict):
            problems.append(f"{section}={reprlib.repr(found)}")
            continue
        found = {**DEFAULTS.get(section, {}), **found}
        required = [] if section in OPTIONAL else ["type"]
        problems += [
            f"{section}.{key}={reprlib.repr(found.get(key))}"
            for key in [*found, *(key for key in required if key not in found)]
            if key not in allowed or not _contains(allowed[key], found.get(key))
        ]
    if not _vocabulary(whole):
        problems.append("model.vocab without tokens")
    if "version" in whole and whole["version"] != "1.0":
        problems.append(f"version={whole['version']!r}")
    if _post_processor(whole) not in _post_processors(whole):
        problems.append(
            f"post_processor={reprlib.repr(_post_processor(whole))}"
        )
    known = {*SECTIONS, "version", "post_processor", "added_tokens"}
    problems += [
        f"{key}={reprlib.repr(whole[key])}" for key in whole.keys() - known
    ]
    if problems:
        raise ValueError(
            f"Expected a {TOKENIZER_FILE!r} with the BERT WordPiece tokenizer, "
            "which cleans text, splits Chinese characters, has the unknown "
            "token '[UNK]' and the prefix '##', and writes '[CLS] A [SEP] B "
            f"[SEP]'. Received: {', '.join(problems)} in preset={where!r}"
        )


def unwrapped(whole: Config, section: str) -> Any:
    """Returns a section, without a sequence around a single part."""
    found = whole.get(section)
    if isinstance(found, dict) and found.get("type") == "Sequence":
        parts = found.get(f"{section}s")
        if set(found) == {"type", f"{section}s"} and isinstance(parts, list):
            return parts[0] if len(parts) == 1 else found
    return found


def normalizer_settings(whole: Config) -> Config:
    """Returns the text cleaning, under the names of the tokenizer config."""
    normalizer = unwrapped(whole, "normalizer") or {}
    return {
        "do_lower_case": normalizer.get("lowercase"),
        "strip_accents": normalizer.get("strip_accents"),
    }


def _contains(allowed: Any, value: Any) -> bool:
    """Whether a value is allowed, and not just equal, as 1 is to `True`."""
    return allowed is ANY or any(
        type(value) is type(one) and value == one for one in allowed
    )


def _vocabulary(whole: Config) -> Config:
    model = whole.get("model")
    ids = model.get("vocab") if isinstance(model, dict) else None
    return ids if isinstance(ids, dict) else {}


def _post_processor(whole: Config) -> Any:
    return whole.get("post_processor")


def _post_processors(whole: Config) -> list[Config]:
    """Returns the forms of `[CLS] A [SEP] B [SEP]`."""
    ids = _vocabulary(whole)
    cls, sep = SPECIAL_TOKENS["cls_token"], SPECIAL_TOKENS["sep_token"]

    def special(token: str, segment: int) -> Config:
        return {"SpecialToken": {"id": token, "type_id": segment}}

    def sequence(name: str, segment: int) -> Config:
        return {"Sequence": {"id": name, "type_id": segment}}

    single = [special(cls, 0), sequence("A", 0), special(sep, 0)]
    return [
        {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, sequence("B", 1), special(sep, 1)],
            "special_tokens": {
                token: {
                    "id": token,
                    "ids": [ids.get(token)],
                    "tokens": [token],
                }
                for token in (cls, sep)
            },
        },
        {
            "type": "BertProcessing",
            "sep": [sep, ids.get(sep)],
            "cls": [cls, ids.get(cls)],
        },
    ]
