"""BERT text cleaning and splitting, in Rust and in a TensorFlow graph.

The Rust library `tokenizers` is the reference (`transformers` uses it too). A
graph cannot call it, so the graph looks up each character in a table that is
read from the library. This works because BERT processes each character
independently of its neighbors.
"""

import functools
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

import numpy as np
import tokenizers

from keras_convbert.text.added_tokens import CLOSE
from keras_convbert.text.added_tokens import MARK
from keras_convbert.text.added_tokens import OPEN
from keras_convbert.text.added_tokens import AddedToken
from keras_convbert.text.added_tokens import Characters
from keras_convbert.types import Tensor

MAX_CHARACTERS_PER_WORD = 100
# A character becomes the characters of a table entry, in which this stands for
# the character itself.
ITSELF = -1
SPACE = ord(" ")
PAGE = 256


def wordpiece_tokenizer(
    vocabulary: list[str],
    unknown_token: str,
    lowercase: bool,
    strip_accents: bool,
    added_tokens: Iterable[AddedToken] = (),
    max_characters: int = MAX_CHARACTERS_PER_WORD,
) -> tokenizers.Tokenizer:
    """Returns a BERT tokenizer that recognizes `added_tokens` in texts."""
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            vocab={token: i for i, token in enumerate(vocabulary)},
            unk_token=unknown_token,
            max_input_chars_per_word=max_characters,
        )
    )
    tokenizer.normalizer = bert_normalizer(lowercase, strip_accents)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.add_tokens([token.rust() for token in added_tokens])
    return tokenizer


def bert_normalizer(
    lowercase: bool, strip_accents: bool
) -> tokenizers.normalizers.Normalizer:
    """Returns the text cleaning of BERT."""
    return tokenizers.normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )


class CharacterTable:
    """What BERT turns each character into, as arrays for a graph.

    The character `MARK` becomes a word of its own if `marks` is true. Without
    `split` the table only cleans: words are not separated.

    `codes[pages[c // PAGE], c % PAGE]` is the entry of character `c`, and
    `values[splits[e]:splits[e + 1]]` are the characters of entry `e`.
    """

    def __init__(
        self,
        lowercase: bool,
        strip_accents: bool,
        marks: bool = False,
        split: bool = True,
    ) -> None:
        read_page = _PageReader(lowercase, strip_accents, marks, split)
        entries: dict[tuple[int, ...], int] = {(ITSELF,): 0}
        unique_pages: dict[bytes, int] = {}
        self.pages = np.zeros(0x110000 // PAGE, "int32")

        @functools.cache
        def codes(first: int) -> bytes:
            page = read_page(first)
            page_codes = [entries.setdefault(e, len(entries)) for e in page]
            return np.array(page_codes, "int32").tobytes()

        for number in range(len(self.pages)):
            plane, page = divmod(number, 256)
            empty = plane > 3 and plane != 14
            if empty and page != 255 and number != MARK // PAGE:
                # Planes without characters and those for private use are
                # uniform, except for their last page, so one page is read.
                page = 1
            self.pages[number] = unique_pages.setdefault(
                codes((plane << 16) + page * PAGE), len(unique_pages)
            )
        self.codes = np.stack(
            [np.frombuffer(page, "int32") for page in unique_pages]
        )
        self.values = np.array([c for e in entries for c in e], "int32")
        self.splits = np.cumsum([0, *map(len, entries)], dtype="int32")


@functools.cache
def character_table(
    lowercase: bool,
    strip_accents: bool,
    marks: bool = False,
    split: bool = True,
) -> CharacterTable:
    return CharacterTable(lowercase, strip_accents, marks, split)


class _PageReader:
    """Reads the entries of a page of characters from the library."""

    def __init__(
        self, lowercase: bool, strip_accents: bool, marks: bool, split: bool
    ) -> None:
        self.normalizer = bert_normalizer(lowercase, strip_accents)
        self.splitter = tokenizers.pre_tokenizers.BertPreTokenizer()
        self.marks = marks
        self.split = split
        self.parts: dict[str, tuple[int, ...]] = {}

    def __call__(self, first: int) -> list[tuple[int, ...]]:
        """Returns the entries of the characters from `first` on."""
        normal = self._normalize(first)
        letters = {c for c in "".join(normal) if c not in self.parts}
        if self.split:
            self._split(letters)
        else:
            self.parts.update((letter, (ord(letter),)) for letter in letters)
        return [self._entry(c, text) for c, text in enumerate(normal, first)]

    def _entry(self, codepoint: int, text: str) -> tuple[int, ...]:
        if codepoint == MARK and self.marks:
            return (SPACE, ITSELF, SPACE) if self.split else (ITSELF,)
        parts = [c for letter in text for c in self.parts[letter]]
        if parts == [codepoint]:
            return (ITSELF,)
        return tuple(ITSELF if c == codepoint else c for c in parts)

    def _normalize(self, first: int) -> list[str]:
        # A separator that BERT does not change, from another page.
        between = "|" if first else "\u0436"
        characters = [
            "" if 0xD800 <= c < 0xE000 else chr(c)
            for c in range(first, first + PAGE)
        ]
        normal = self.normalizer.normalize_str(between.join(characters))
        return normal.split(between)

    def _split(self, characters: set[str]) -> None:
        """Finds the characters that separate words or stand alone."""
        letters = sorted(characters)
        text = " ".join(f"a{letter}a" for letter in letters)
        pieces = [0] * len(letters)
        for _, (start, _) in self.splitter.pre_tokenize_str(text):
            pieces[start // len("axa ")] += 1
        for letter, count in zip(letters, pieces, strict=True):
            code = ord(letter)
            forms = {1: (code,), 2: (SPACE,), 3: (SPACE, code, SPACE)}
            self.parts[letter] = forms[count]


# In a TensorFlow graph


class PretokenizedWords(NamedTuple):
    """The words of texts, and the positions of their characters."""

    strings: Tensor
    """Ragged strings, `(batch, None)`."""
    starts: Tensor
    """Positions of all characters of words in their texts, `(characters,)`.

    They count code points.
    """
    ends: Tensor
    added: Tensor
    """Numbers of the added tokens that the words stand for, else -1."""


def read_characters(texts: Tensor, marks: bool = False) -> Characters:
    """Returns the characters of texts.

    Args:
        texts: string tensor of shape `(batch,)`, in UTF-8. Invalid bytes
            become U+FFFD, which BERT drops.
        marks: bool. Whether to replace the characters that mark added tokens
            by U+FFFD. Deleting them would join the characters around them.
            Defaults to `False`.
    """
    import tensorflow as tf

    codes = tf.strings.unicode_decode(
        texts, "UTF-8", errors="replace", replacement_char=0xFFFD
    )  # (B, None)
    flat = codes.flat_values
    if marks:
        reserved = (flat == OPEN) | (flat == CLOSE) | (flat == MARK)
        codes = codes.with_flat_values(tf.where(reserved, 0xFFFD, flat))
    starts = tf.range(tf.size(flat))
    before = tf.cast(codes.row_starts(), "int32")
    starts -= tf.repeat(before, codes.row_lengths())
    return Characters(codes, starts, starts + 1, tf.fill(tf.shape(flat), -1))


def look_up(characters: Characters, table: CharacterTable) -> Characters:
    """Returns what BERT turns characters into."""
    import tensorflow as tf

    codes = characters.codes
    flat = codes.flat_values
    page = tf.gather(table.pages, flat // PAGE)
    entry = tf.gather_nd(
        tf.constant(table.codes), tf.stack([page, flat % PAGE], axis=-1)
    )
    entries = tf.RaggedTensor.from_row_splits(
        tf.constant(table.values), tf.constant(table.splits), validate=False
    )
    becomes = tf.gather(entries, entry)  # (characters, None)
    counts = becomes.row_lengths()
    values = tf.where(
        becomes.flat_values == ITSELF,
        tf.repeat(flat, counts),
        becomes.flat_values,
    )
    # Back to one row per text: the row splits of characters count entries.
    splits = tf.gather(
        tf.cast(becomes.row_splits, codes.row_splits.dtype), codes.row_splits
    )
    return Characters(
        tf.RaggedTensor.from_row_splits(values, splits, validate=False),
        tf.repeat(characters.starts, counts),
        tf.repeat(characters.ends, counts),
        tf.repeat(characters.added, counts),
    )


def words_in_graph(
    characters: Characters, table: CharacterTable
) -> PretokenizedWords:
    """Splits texts into words.

    Args:
        characters: the `Characters` of the texts.
        table: the `CharacterTable`.
    """
    import tensorflow as tf

    clean = look_up(characters, table)
    is_letter = clean.codes.flat_values != SPACE
    strings = tf.strings.split(tf.strings.unicode_encode(clean.codes, "UTF-8"))
    added = tf.boolean_mask(clean.added, is_letter)
    is_added = strings.flat_values == chr(MARK)
    return PretokenizedWords(
        strings,
        tf.boolean_mask(clean.starts, is_letter),
        tf.boolean_mask(clean.ends, is_letter),
        tf.tensor_scatter_nd_update(
            tf.fill(tf.shape(is_added), -1),
            tf.where(is_added),
            tf.boolean_mask(added, added >= 0),
        ),
    )


def piece_spans(
    words: PretokenizedWords,
    pieces: Any,
    starts: Tensor,
    ends: Tensor,
    whole: Tensor,
) -> tuple[Tensor, Tensor]:
    """Returns where the pieces of words are in their texts.

    Args:
        words: the `PretokenizedWords`.
        pieces: ragged tensor `(batch, None, None)`, the pieces of each word.
        starts: as `pieces`, their starts in the word in bytes.
        ends: as `pieces`, their ends in the word.
        whole: bool tensor `(words,)`. A piece of such a word spans the word,
            regardless of `starts` and `ends`.

    Returns:
        Two tensors `(pieces,)`: the first code point, and the one after the
        last.
    """
    import tensorflow as tf

    strings = words.strings.flat_values  # (W,)
    _, offsets = tf.strings.unicode_decode_with_offsets(strings, "UTF-8")
    sizes = tf.cast(tf.strings.length(strings), "int64")
    base = tf.cumsum(sizes, exclusive=True)
    starting = offsets.flat_values + tf.gather(base, offsets.value_rowids())
    of_word = pieces.values.value_rowids()  # (P,)
    whole = tf.gather(whole, of_word)

    def character(position: Tensor, at_whole: Tensor) -> Tensor:
        """Returns the number of the character that starts at a byte."""
        position = tf.cast(position, "int64") + tf.gather(base, of_word)
        found = tf.searchsorted(starting, position, out_type="int64")
        return tf.where(whole, tf.gather(at_whole, of_word), found)

    first = character(starts.flat_values, offsets.row_splits[:-1])
    after = character(ends.flat_values, offsets.row_splits[1:])
    return tf.gather(words.starts, first), tf.gather(words.ends, after - 1)
