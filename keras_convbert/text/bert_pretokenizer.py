"""BERT's cleaning and splitting of text, in Rust and in TensorFlow's graph.

The Rust library `tokenizers` is the reference (`transformers` uses it too).
A graph cannot call it, so there each character is looked up in a table that
was read off the library, character by character: what BERT does to a text it
does to each of its characters by itself.
"""

import functools
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np
import tokenizers

from keras_convbert.types import Tensor

MAX_CHARACTERS_PER_WORD = 100
# What a character becomes: itself, itself between spaces, or an entry of its
# own. In an entry this stands for the character itself.
ITSELF = -1
SPACE = ord(" ")
PAGE = 256


def wordpiece_tokenizer(
    vocabulary: list[str],
    unknown_token: str,
    lowercase: bool,
    strip_accents: bool,
    special_tokens: list[str],
) -> tokenizers.Tokenizer:
    """BERT's tokenizer; `special_tokens` are recognised in texts."""
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(
            vocab={token: i for i, token in enumerate(vocabulary)},
            unk_token=unknown_token,
            max_input_chars_per_word=MAX_CHARACTERS_PER_WORD,
        )
    )
    tokenizer.normalizer = bert_normalizer(lowercase, strip_accents)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(
        [tokenizers.AddedToken(t, normalized=False) for t in special_tokens]
    )
    return tokenizer


def bert_normalizer(
    lowercase: bool, strip_accents: bool
) -> tokenizers.normalizers.Normalizer:
    return tokenizers.normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )


class CharacterTable:
    """What BERT makes of each character, as arrays for a graph.

    The characters in `marks` stand alone, whatever BERT does to them.

    `codes[pages[c // PAGE], c % PAGE]` is the entry of character `c`, and
    `values[splits[e]:splits[e + 1]]` are the characters of entry `e`.
    """

    def __init__(
        self, lowercase: bool, strip_accents: bool, marks: tuple[str, ...] = ()
    ) -> None:
        read_page = _PageReader(lowercase, strip_accents, marks)
        entries: dict[tuple[int, ...], int] = {(ITSELF,): 0}
        unique_pages: dict[bytes, int] = {}
        self.pages = np.zeros(0x110000 // PAGE, "int32")
        marked_pages = {ord(mark) // PAGE for mark in marks}

        @functools.cache
        def codes(first: int) -> bytes:
            page = read_page(first)
            page_codes = [entries.setdefault(e, len(entries)) for e in page]
            return np.array(page_codes, "int32").tobytes()

        for number in range(len(self.pages)):
            plane, page = divmod(number, 256)
            empty = plane > 3 and plane != 14
            if empty and page != 255 and number not in marked_pages:
                # Planes without characters, and those of private use, are
                # uniform but for their last page: one speaks for them all.
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
    lowercase: bool, strip_accents: bool, marks: tuple[str, ...] = ()
) -> CharacterTable:
    return CharacterTable(lowercase, strip_accents, marks)


class _PageReader:
    """Asks the library about a page of characters at a time."""

    def __init__(
        self, lowercase: bool, strip_accents: bool, marks: tuple[str, ...]
    ) -> None:
        self.normalizer = bert_normalizer(lowercase, strip_accents)
        self.splitter = tokenizers.pre_tokenizers.BertPreTokenizer()
        self.marks = {ord(mark) for mark in marks}
        self.parts: dict[str, tuple[int, ...]] = {}

    def __call__(self, first: int) -> list[tuple[int, ...]]:
        """The entries of the characters from `first` on."""
        normal = self._normalize(first)
        self._split({c for c in "".join(normal) if c not in self.parts})
        return [self._entry(c, text) for c, text in enumerate(normal, first)]

    def _entry(self, codepoint: int, text: str) -> tuple[int, ...]:
        if codepoint in self.marks:
            return (SPACE, ITSELF, SPACE)
        parts = [c for letter in text for c in self.parts[letter]]
        if parts == [codepoint]:
            return (ITSELF,)
        return tuple(ITSELF if c == codepoint else c for c in parts)

    def _normalize(self, first: int) -> list[str]:
        # A character that BERT leaves alone, of another page than those
        # that it keeps apart.
        between = "|" if first else "\u0436"
        characters = [
            "" if 0xD800 <= c < 0xE000 else chr(c)
            for c in range(first, first + PAGE)
        ]
        normal = self.normalizer.normalize_str(between.join(characters))
        return normal.split(between)

    def _split(self, characters: set[str]) -> None:
        """Finds which characters separate words, and which stand alone."""
        letters = sorted(characters)
        text = " ".join(f"a{letter}a" for letter in letters)
        pieces = [0] * len(letters)
        for _, (start, _) in self.splitter.pre_tokenize_str(text):
            pieces[start // len("axa ")] += 1
        for letter, count in zip(letters, pieces, strict=True):
            code = ord(letter)
            forms = {1: (code,), 2: (SPACE,), 3: (SPACE, code, SPACE)}
            self.parts[letter] = forms[count]


class PretokenizedWords(NamedTuple):
    """Words of texts, and where in the texts their characters are from."""

    strings: Tensor
    """Ragged strings, `(batch, None)`."""
    starts: Tensor
    """Of each character of each word, in code points, `(characters,)`."""
    ends: Tensor


def words_in_graph(
    texts: Tensor,
    table: CharacterTable,
    widths: Mapping[str, int] | None = None,
) -> PretokenizedWords:
    """Splits texts into words.

    Args:
        texts: string tensor of shape `(batch,)`, in UTF-8. What is no UTF-8
            is left out, as BERT leaves out U+FFFD.
        table: the `CharacterTable` to go by.
        widths: characters that stand for several of the text, to their
            number.
    """
    import tensorflow as tf

    characters = tf.strings.unicode_decode(
        texts, "UTF-8", errors="replace", replacement_char=0xFFFD
    )  # (B, None)
    flat = characters.flat_values
    page = tf.gather(table.pages, flat // PAGE)
    entry = tf.gather_nd(
        tf.constant(table.codes), tf.stack([page, flat % PAGE], axis=-1)
    )
    entries = tf.RaggedTensor.from_row_splits(
        tf.constant(table.values), tf.constant(table.splits), validate=False
    )
    becomes = tf.gather(entries, entry)  # (characters, None)
    counts = becomes.row_lengths()
    themselves = tf.repeat(flat, counts)
    values = tf.where(
        becomes.flat_values == ITSELF, themselves, becomes.flat_values
    )
    # Back to one row a text: the row splits of characters count entries.
    splits = tf.gather(
        tf.cast(becomes.row_splits, characters.row_splits.dtype),
        characters.row_splits,
    )
    clean = tf.RaggedTensor.from_row_splits(values, splits, validate=False)
    starts, ends = _spans(characters, widths or {})
    is_letter = values != SPACE
    return PretokenizedWords(
        tf.strings.split(tf.strings.unicode_encode(clean, "UTF-8")),
        tf.boolean_mask(tf.repeat(starts, counts), is_letter),
        tf.boolean_mask(tf.repeat(ends, counts), is_letter),
    )


def _spans(
    characters: Tensor, widths: Mapping[str, int]
) -> tuple[Tensor, Tensor]:
    """Where each character is in its own text."""
    import tensorflow as tf

    width = tf.ones_like(characters.flat_values)
    for character, number in widths.items():
        width = tf.where(
            characters.flat_values == ord(character), number, width
        )
    ends = tf.cumsum(width)
    before = tf.gather(tf.pad(ends, [[1, 0]]), characters.row_splits[:-1])
    ends -= tf.repeat(before, characters.row_lengths())
    return ends - width, ends


def piece_spans(
    words: PretokenizedWords,
    pieces: Any,
    starts: Tensor,
    ends: Tensor,
    whole: Tensor,
) -> tuple[Tensor, Tensor]:
    """Where in the texts the pieces of words are.

    Args:
        words: the `PretokenizedWords`.
        pieces: ragged tensor `(batch, None, None)`, the pieces of each word.
        starts: as `pieces`, where they start in their word, in bytes.
        ends: as `pieces`, where they end in it.
        whole: boolean tensor `(words,)`; of these, a piece is all of the word,
            whatever `starts` and `ends` say.

    Returns:
        two tensors `(pieces,)`: first code point, and the one after the last.
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
        """The number of the character that starts at a byte."""
        position = tf.cast(position, "int64") + tf.gather(base, of_word)
        found = tf.searchsorted(starting, position, out_type="int64")
        return tf.where(whole, tf.gather(at_whole, of_word), found)

    first = character(starts.flat_values, offsets.row_splits[:-1])
    after = character(ends.flat_values, offsets.row_splits[1:])
    return tf.gather(words.starts, first), tf.gather(words.ends, after - 1)
