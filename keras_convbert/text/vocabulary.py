"""Reads and checks vocabularies."""

import collections
import os
import reprlib
import warnings
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Set

from keras_convbert.text.published_vocabulary import repair

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
"""The special tokens of BERT, in the order of their ids in new vocabularies."""

# Fraction of the non-ASCII tokens. About one in five Chinese characters looks
# garbled by chance; in a garbled vocabulary nearly all do.
GARBLED_FRACTION = 0.5
ENCODINGS = {
    "GBK": "gb18030",
    "Windows-1252": "cp1252",
    "Latin-1": "latin-1",
}
# A vocabulary for all languages has about 250,000 tokens.
MAX_BYTES = 2**24
MAX_TOKENS = 2**20
UNWRITABLE = {"\n", "\r", "\0"}


def read_vocabulary(path: str | os.PathLike[str]) -> list[str]:
    """Reads the tokens of a UTF-8 file, one per line.

    Line ends of CRLF are read too, with a warning. The damage of the
    vocabulary that the ConvBERT authors published, which is BERT-uncased, is
    repaired with a warning. No other defect is repaired.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file is too large, is not UTF-8, or starts with a
            byte-order mark.
    """
    regular = os.path.isfile(path) or not os.path.exists(path)
    if not regular or os.path.getsize(path) > MAX_BYTES:
        raise ValueError(
            f"Expected a vocabulary file of {MAX_BYTES} bytes at most. "
            f"Received: vocabulary={os.fspath(path)!r}"
        )
    with open(path, "rb") as file:
        content = file.read()
    if content.count(b"\n") > MAX_TOKENS:
        raise ValueError(
            f"Expected a vocabulary of {MAX_TOKENS} tokens at most. "
            f"Received: vocabulary={os.fspath(path)!r}"
        )
    if content.startswith(b"\xef\xbb\xbf"):
        raise ValueError(
            "Expected a vocabulary file without a byte-order mark. "
            f"Received: vocabulary={os.fspath(path)!r}"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"Expected a vocabulary file in UTF-8, but {error}. "
            f"Received: vocabulary={os.fspath(path)!r}"
        ) from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    has_returns = any(line.endswith("\r") for line in lines)
    lines = [line.removesuffix("\r") for line in lines]
    if not _repair(lines, repr(os.fspath(path))) and has_returns:
        warnings.warn(
            f"The lines of the vocabulary {os.fspath(path)!r} end in CRLF; "
            "the carriage returns are left out.",
            stacklevel=3,
        )
    return lines


def check_vocabulary(
    vocabulary: Iterable[str], required: Iterable[str]
) -> list[str]:
    """Returns a vocabulary as a list, after checking it.

    Args:
        vocabulary: iterable of strings, in the order of their ids.
        required: iterable of strings. Tokens that must be in it.

    Raises:
        ValueError: if it has no order; if a token is not a string, is empty,
            cannot be a line of a file, or is a duplicate; if a required token
            is missing; if it was decoded with a wrong encoding.
    """
    unordered = isinstance(vocabulary, Mapping | Set)
    if unordered or not isinstance(vocabulary, Iterable):
        raise ValueError(
            "Expected a list of strings, in the order of their ids, or the "
            f"path of a file. Received: vocabulary={reprlib.repr(vocabulary)}"
        )
    tokens = list(vocabulary)
    for index, token in enumerate(tokens):
        if not isinstance(token, str) or not token or set(token) & UNWRITABLE:
            raise ValueError(
                "Expected the tokens of the vocabulary to be strings that are "
                "not empty and contain no line end or NUL. "
                f"Received: vocabulary[{index}]={token!r}"
            )
    _repair(tokens, "given as a list")
    _check_encoding(tokens)
    counts = collections.Counter(tokens)
    duplicates = [token for token, count in counts.items() if count > 1]
    if duplicates:
        raise ValueError(
            "Expected each token of the vocabulary once. Received: "
            f"{len(duplicates)} tokens more than once, the first of them "
            f"{duplicates[:5]}"
        )
    missing = [token for token in required if token not in counts]
    if missing:
        raise ValueError(
            "Cannot find the special tokens "
            f"{missing} in the vocabulary. Received: {len(tokens)} tokens, "
            f"the first of them {tokens[:5]}"
        )
    return tokens


def _repair(tokens: list[str], name: str) -> bool:
    """Repairs the published vocabulary in place, with a warning."""
    repaired = repair(tokens) if garbling(tokens) else 0
    if repaired:
        warnings.warn(
            f"The vocabulary {name} is BERT-uncased, damaged as in the "
            f"release of the ConvBERT authors; {repaired} of {len(tokens)} "
            "tokens are repaired.",
            stacklevel=4,
        )
    return bool(repaired)


def _check_encoding(tokens: list[str]) -> None:
    for name, garbled in garbling(tokens).items():
        raise ValueError(
            f"The vocabulary is damaged: its UTF-8 was read as {name} and "
            f"saved again, which garbled {len(garbled)} of {len(tokens)} "
            f"tokens, such as {garbled[:3]}. Pass an undamaged vocabulary as "
            "`vocabulary=`."
        )


def garbling(tokens: list[str]) -> dict[str, list[str]]:
    """Returns the garbled tokens of a damaged vocabulary, by encoding."""
    foreign = [token for token in tokens if not token.isascii()]
    found = {}
    for name, encoding in ENCODINGS.items():
        garbled = [t for t in foreign if _looks_garbled(t, encoding)]
        if len(garbled) > max(3, GARBLED_FRACTION * len(foreign)):
            found[name] = garbled
    return found


def _looks_garbled(token: str, encoding: str) -> bool:
    """Returns whether `token` may be UTF-8 that was decoded as `encoding`."""
    try:
        original = token.encode(encoding)
        return len(original.decode("utf-8")) < len(original)
    except UnicodeDecodeError:
        # An odd last byte of a character became a question mark.
        return "?" in token or "\ufffd" in token
    except UnicodeEncodeError:
        return False
