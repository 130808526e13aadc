"""Reads the added tokens of a Hugging Face folder, from all of its files."""

from collections.abc import Iterable
from typing import Any

from keras_convbert.models.convbert.transformers.tokenizer_config import (
    CONFIG_FILE,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import FLAGS
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    SPECIAL_TOKENS,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    content_of,
)
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    has_flags,
)
from keras_convbert.models.convbert.transformers.tokenizer_json import (
    TOKENIZER_FILE,
)
from keras_convbert.types import Config

ADDED_TOKENS_FILE = "added_tokens.json"
# Fields of a token that are not flags.
OTHER_FIELDS = {"content", "special", "id", "__type"}


def read_added_tokens(
    whole: Config,
    config: Config,
    encoder: Config,
    vocabulary: list[str],
    where: str,
) -> list[Config]:
    """Returns the added tokens in the order of their ids.

    Args:
        whole: dict. The content of `tokenizer.json`.
        config: dict. The content of `tokenizer_config.json`.
        encoder: dict. The content of `added_tokens.json`.
        vocabulary: list of strings. The tokens before the added ones.
        where: string. The preset, for messages.

    Returns:
        List of dicts, as `ConvBertTokenizer(added_tokens=…)` takes them.

    Raises:
        ValueError: if the files contradict each other or the vocabulary, or
            if a token has settings that this library cannot honor.
    """
    marked = _marked_special(config, where)
    files = {
        TOKENIZER_FILE: whole.get("added_tokens"),
        CONFIG_FILE: _decoded(config.get("added_tokens_decoder"), where),
        ADDED_TOKENS_FILE: [
            {"id": number, "content": token}
            for token, number in encoder.items()
        ]
        or None,
    }
    found: dict[str, Config] = {}
    named: dict[str, set[str]] = {}
    for file, tokens in files.items():
        if tokens is None:
            continue
        named[file] = _read(tokens, file, found, where)
    _check_sets(named, set(vocabulary), where)
    for content, token in found.items():
        token["special"] = token.get("special", False) or content in marked
        token.setdefault("normalized", not token["special"])
    _check_ids(found, vocabulary, where)
    ordered = sorted(found.values(), key=lambda token: token.pop("id"))
    return [
        *({**token} for token in ordered),
        *(token for name, token in marked.items() if name not in found),
    ]


def _decoded(decoder: Any, where: str) -> Any:
    if decoder is None:
        return None
    if not isinstance(decoder, dict) or not all(
        number.isdecimal() and isinstance(token, dict)
        for number, token in decoder.items()
    ):
        raise _refusal(
            "a dict from ids to added tokens", decoder, CONFIG_FILE, where
        )
    return [{**token, "id": int(n)} for n, token in decoder.items()]


def _marked_special(config: Config, where: str) -> dict[str, Config]:
    """Returns the tokens that are listed as special, by content."""
    marked = {}
    for key in ("additional_special_tokens", "extra_special_tokens"):
        tokens = config.get(key) or []
        if isinstance(tokens, dict):
            tokens = [*tokens.values()]
        if not isinstance(tokens, list):
            raise _refusal(f"a list as {key}", tokens, CONFIG_FILE, where)
        for token in tokens:
            content = content_of(token)
            if content in SPECIAL_TOKENS.values():
                continue
            fields = token if isinstance(token, dict) else {"content": token}
            marked[content] = {
                "normalized": False,
                **_fields(fields, CONFIG_FILE, where),
                "special": True,
            }
    return marked


def _read(
    tokens: Any, file: str, found: dict[str, Config], where: str
) -> set[str]:
    """Adds the tokens of a file to `found`; returns their contents."""
    if not isinstance(tokens, Iterable) or not all(
        isinstance(token, dict) and type(token.get("id")) is int
        for token in tokens
    ):
        raise _refusal("a list of added tokens with ids", tokens, file, where)
    ids = [token["id"] for token in tokens]
    if file == TOKENIZER_FILE and ids != sorted(ids):
        # `tokenizers` gives ids in the order of the list.
        raise _refusal(
            "added tokens in the order of their ids", ids, file, where
        )
    contents = set()
    for token in tokens:
        if token.get("content") in SPECIAL_TOKENS.values() and has_flags(token):
            raise _refusal("a special token without flags", token, file, where)
        fields = {**_fields(token, file, where), "id": token["id"]}
        content = fields["content"]
        contents.add(content)
        known = found.setdefault(content, fields)
        other = {
            name: value
            for name, value in fields.items()
            if name != "special" and known.setdefault(name, value) != value
        }
        if other:
            raise _refusal(f"the same token as {known}", token, file, where)
    return contents


def _fields(token: Config, file: str, where: str) -> Config:
    kept = ("content", "special", *FLAGS)
    if (
        not isinstance(token.get("content"), str)
        or set(token) - OTHER_FIELDS - set(FLAGS)
        or not all(type(token.get(name, True)) is bool for name in kept[1:])
    ):
        raise _refusal(f"a token with the flags {FLAGS}", token, file, where)
    return {name: token[name] for name in kept if name in token}


def _check_sets(
    named: dict[str, set[str]], vocabulary: set[str], where: str
) -> None:
    """Raises an error if the files list different tokens.

    `added_tokens.json` lists only those that the vocabulary lacks.
    """
    special = {*SPECIAL_TOKENS.values()}
    sets = {
        file: tokens - special - vocabulary for file, tokens in named.items()
    }
    whole = {
        file: tokens - special
        for file, tokens in named.items()
        if file != ADDED_TOKENS_FILE
    }
    for group in (sets, whole):
        if len({frozenset(tokens) for tokens in group.values()}) > 1:
            raise ValueError(
                "Expected the files to list the same added tokens. Received: "
                + ", ".join(f"{f!r}: {sorted(t)}" for f, t in group.items())
                + f" in preset={where!r}"
            )


def _check_ids(
    found: dict[str, Config], vocabulary: list[str], where: str
) -> None:
    """Checks ids, and drops the special tokens, which are not added."""
    numbers = {token: i for i, token in enumerate(vocabulary)}
    new = {
        name: token["id"]
        for name, token in found.items()
        if name not in numbers
    }
    expected = [*range(len(vocabulary), len(vocabulary) + len(new))]
    wrong = {
        name: token["id"]
        for name, token in found.items()
        if token["id"] != numbers.get(name, token["id"])
    }
    if wrong or sorted(new.values()) != expected:
        raise ValueError(
            "Expected the ids of added tokens to be those of the vocabulary, "
            f"or to follow its {len(vocabulary)} tokens without gaps. "
            f"Received: {wrong or new} in preset={where!r}"
        )
    for name in SPECIAL_TOKENS.values():
        found.pop(name, None)


def _refusal(wanted: str, found: Any, file: str, where: str) -> ValueError:
    return ValueError(
        f"Expected {wanted} in {file!r}. "
        f"Received: {found!r} in preset={where!r}"
    )
