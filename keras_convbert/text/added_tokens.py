"""Tokens that are matched in a text before it is split into words.

The Rust library `tokenizers` is the reference. A graph matches the same tokens
with regular expressions.
"""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import tokenizers

from keras_convbert.types import Tensor

# Characters that enclose a match while a graph processes a text, and the one
# that replaces it. They are safe: BERT deletes private-use characters from
# texts.
OPEN, CLOSE, MARK = 0xF0000, 0xF0001, 0xF0002
MAX_ADDED_TOKENS = 2**16
# Classes of the Rust library, in the syntax of RE2.
SPACE = (
    r"[\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}"
    r"\x{205f}\x{3000}]"
)
WORD = (
    r"[\pL\pM\p{Nl}\p{Nd}\p{Pc}\x{200c}\x{200d}\x{24b6}-\x{24e9}"
    r"\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}]"
)


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that is matched before splitting, as in `tokenizers`."""

    content: str
    lstrip: bool = False
    """Whether the token includes the spaces on its left."""
    rstrip: bool = False
    """Whether the token includes the spaces on its right."""
    normalized: bool = True
    """Whether the cleaned text is searched for the cleaned token."""
    single_word: bool = False
    """Whether the token does not match inside a word."""
    special: bool = False
    """Whether `transformers` can leave the token out when it decodes."""

    @classmethod
    def make(cls, value: Any) -> "AddedToken":
        """Returns the token that a string, a dict or a Rust token describes.

        Raises:
            ValueError: if `value` does not describe a token.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if isinstance(value, str):
            value = {"content": value}
        if isinstance(value, AddedToken):
            return value
        if isinstance(value, tokenizers.AddedToken):
            value = {name: getattr(value, name) for name in names}
        content = value.get("content") if isinstance(value, Mapping) else None
        if (
            not isinstance(content, str)
            or not content
            or content != content.strip()
            or set(content) & set("\0\n\r")
            or set(value) - set(names)
            or not all(
                isinstance(flag, bool)
                for name, flag in value.items()
                if name != "content"
            )
        ):
            raise ValueError(
                "Expected an added token to be a string without spaces at its "
                "ends, line ends and NUL, or a dict with such a string as "
                f"'content' and with bools for any of {names[1:]}. "
                f"Received: {value!r}"
            )
        return cls(**value)

    def rust(self) -> tokenizers.AddedToken:
        return tokenizers.AddedToken(**dataclasses.asdict(self))


def make_added_tokens(
    values: Iterable[Any], reserved: Iterable[str]
) -> tuple[AddedToken, ...]:
    """Returns the added tokens that strings or dicts describe.

    Args:
        values: iterable of strings, dicts or `AddedToken`s.
        reserved: iterable of strings. Special tokens of the tokenizer.

    Raises:
        ValueError: if a value does not describe a token, is a special token
            or is repeated, or if there are too many.
    """
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise ValueError(
            "Expected a list of strings or dicts. "
            f"Received: added_tokens={values!r}"
        )
    tokens = tuple(AddedToken.make(value) for value in values)
    if len(tokens) > MAX_ADDED_TOKENS:
        raise ValueError(
            f"Expected at most {MAX_ADDED_TOKENS} added tokens. "
            f"Received: {len(tokens)} tokens"
        )
    seen = set(reserved)
    for token in tokens:
        if token.content in seen:
            raise ValueError(
                "Expected each added token once, and none of the special "
                f"tokens {sorted(reserved)}. Received: {token.content!r}"
            )
        seen.add(token.content)
    return tokens


# In a TensorFlow graph


class Characters(NamedTuple):
    """The characters of texts."""

    codes: Tensor
    """Ragged code points, `(batch, None)`."""
    starts: Tensor
    """Positions of the characters in their texts, `(characters,)`."""
    ends: Tensor
    added: Tensor
    """Numbers of the added tokens that they replace, else -1."""


class AddedTokenMatcher:
    """Finds added tokens in a graph and replaces each by one character.

    Of several tokens that match at the same position, the longest counts.

    Args:
        tokens: sequence of `AddedToken`s.
        forms: sequence of strings. What the tokens look like in a text.
        first: int. Number of the first token.
    """

    def __init__(
        self, tokens: Sequence[AddedToken], forms: Sequence[str], first: int
    ) -> None:
        import tensorflow as tf

        single = [
            form
            for token, form in zip(tokens, forms, strict=True)
            if token.single_word
        ]
        # Cleaning surrounds Chinese characters with spaces, in texts too.
        self.single_words = [
            (
                space,
                _any_of(
                    [f for f in single if f.startswith(" ") == bool(space)]
                ),
                _any_of([f for f in single if f.endswith(" ") == bool(space)]),
            )
            for space in ("", " ")
        ]
        forms = [form.strip() for form in forms]
        # A lookup table would be a resource, which an exported function may
        # not create.
        with tf.init_scope():
            hashes = _hash(forms).numpy()
        order = np.argsort(hashes)
        self.hashes = hashes[order]
        self.numbers = (first + order).astype("int32")
        self.pattern = _any_of(forms)
        self.inner = {
            flag: _any_of(
                [
                    form
                    for token, form in zip(tokens, forms, strict=True)
                    if getattr(token, flag)
                ]
            )
            for flag in ("lstrip", "rstrip")
        }

    def __call__(self, characters: Characters) -> Characters:
        import tensorflow as tf

        texts = tf.strings.unicode_encode(characters.codes, "UTF-8")
        marked = self._mark(texts)
        codes = tf.strings.unicode_decode(marked, "UTF-8")
        flat = codes.flat_values
        opens, closes = flat == OPEN, flat == CLOSE
        boundary = opens | closes
        before = tf.cumsum(tf.cast(~boundary, "int32"), exclusive=True)
        inside = tf.cumsum(
            tf.cast(opens, "int32") - tf.cast(closes, "int32"), exclusive=True
        )
        kept = opens | ((inside == 0) & ~closes)
        # Positions of the characters that stay, in the old arrays.
        first = tf.boolean_mask(before, kept)
        last = tf.tensor_scatter_nd_update(
            before, tf.where(opens), tf.boolean_mask(before, closes) - 1
        )
        last = tf.boolean_mask(last, kept)
        is_match = tf.boolean_mask(opens, kept)
        numbers = tf.tensor_scatter_nd_update(
            tf.gather(characters.added, first),
            tf.where(is_match),
            self._numbers(marked),
        )
        codes = codes.with_flat_values(tf.where(opens, MARK, flat))
        return Characters(
            tf.ragged.boolean_mask(codes, codes.with_flat_values(kept)),
            tf.gather(characters.starts, first),
            tf.gather(characters.ends, last),
            numbers,
        )

    def _mark(self, texts: Tensor) -> Tensor:
        """Encloses the matches."""
        import tensorflow as tf

        opening, closing = chr(OPEN), chr(CLOSE)
        enclosed = f"{opening}\\1{closing}"
        texts = tf.strings.regex_replace(texts, self.pattern, enclosed)
        for space, after, before in self.single_words:
            for wanted, pattern in (
                (after, f"({WORD}{closing}?{space}){opening}{after}{closing}"),
                (
                    before,
                    f"{opening}{before}{closing}({space}{opening}?{WORD})",
                ),
            ):
                # Matches of a regular expression do not overlap, so that one
                # pass skips every other one of adjacent tokens.
                for _ in range(2 if wanted else 0):
                    texts = tf.strings.regex_replace(texts, pattern, r"\1\2")
        if self.inner["rstrip"]:
            texts = tf.strings.regex_replace(
                texts,
                f"{opening}{self.inner['rstrip']}{closing}({SPACE}+)",
                f"{opening}\\1\\2{closing}",
            )
        if self.inner["lstrip"]:
            texts = tf.strings.regex_replace(
                texts,
                f"({SPACE}+){opening}({self.inner['lstrip']}{SPACE}*){closing}",
                f"{opening}\\1\\2{closing}",
            )
        return texts

    def _numbers(self, marked: Tensor) -> Tensor:
        """Returns the numbers of the tokens of all matches, in order."""
        import tensorflow as tf

        opening, closing = chr(OPEN), chr(CLOSE)
        parts = tf.strings.split(
            tf.strings.regex_replace(marked, closing, opening), opening
        )
        order = tf.range(tf.size(parts.flat_values, "int64"))
        in_text = order - tf.gather(parts.row_splits, parts.value_rowids())
        matches = tf.boolean_mask(parts.flat_values, in_text % 2 == 1)
        matches = tf.strings.regex_replace(matches, f"^{SPACE}+|{SPACE}+$", "")
        found = tf.searchsorted(self.hashes, _hash(matches))
        return tf.gather(self.numbers, found)


def _hash(forms: Any) -> Tensor:
    import tensorflow as tf

    return tf.strings.to_hash_bucket_fast(forms, 2**62)


def _any_of(forms: Iterable[str]) -> str:
    """Returns a pattern of the longest form that matches, as a group."""
    if not forms:
        return ""
    forms = {form.strip() for form in forms}
    longest_first = sorted(forms, key=len, reverse=True)
    escaped = [
        "".join(f"\\x{{{ord(character):x}}}" for character in form)
        for form in longest_first
    ]
    return f"({'|'.join(escaped)})"
