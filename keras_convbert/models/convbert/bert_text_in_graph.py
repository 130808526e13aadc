"""BERT's cleaning and splitting of text by TensorFlow operations alone."""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from keras_convbert.models.convbert.bert_text import ITSELF
from keras_convbert.models.convbert.bert_text import PAGE
from keras_convbert.models.convbert.bert_text import SPACE
from keras_convbert.models.convbert.bert_text import CharacterTable
from keras_convbert.types import Tensor


class Words(NamedTuple):
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
) -> Words:
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
    return Words(
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
    words: Words, pieces: Any, starts: Tensor, ends: Tensor, whole: Tensor
) -> tuple[Tensor, Tensor]:
    """Where in the texts the pieces of words are.

    Args:
        words: the `Words`.
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
