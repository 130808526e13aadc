"""`word_rows` by TensorFlow operations."""

from typing import Any
from typing import NamedTuple

from keras_convbert.models.convbert.windows_in_graph import windows_in_graph
from keras_convbert.models.convbert.word_rows import NO_WORD
from keras_convbert.types import Tensor


class Rows(NamedTuple):
    """The windows of all sentences, `rows` of them."""

    sentences: Tensor
    """`(rows,)`"""
    ids: Tensor
    """Ragged, `(rows, None)`."""
    words: Tensor
    """As `ids`: the number, in all the batch, of the word whose label is
    there, or `NO_WORD`."""


def ragged(words: Tensor) -> Tensor:
    """A tensor `(batch, None)` of any kind as a ragged one."""
    import tensorflow as tf

    if isinstance(words, tf.RaggedTensor):
        return words
    if words.shape.rank != 2:
        raise ValueError(
            "Expected sentences as words: a ragged tensor of rank 2. "
            f"Received: a tensor of the shape {words.shape}"
        )
    return tf.RaggedTensor.from_tensor(words)


def word_rows_in_graph(
    tokenizer: Any, sentences: Tensor, size: int, stride: int
) -> Rows:
    """Makes them of strings `(batch, None)`, ragged as `ragged` gives them."""
    import tensorflow as tf

    no_word = tf.constant(NO_WORD, "int64")
    pieces = tokenizer(sentences.flat_values)  # (words, None)
    unknown = tokenizer.token_to_id(tokenizer.unk_token)
    nothing = tf.cast(pieces.row_lengths() == 0, "int64")
    filling = tf.RaggedTensor.from_row_lengths(
        tf.fill([tf.reduce_sum(nothing)], tf.constant(unknown, pieces.dtype)),
        nothing,
    )
    pieces = tf.concat([pieces, filling], axis=1)
    numbers = tf.where(
        tf.ragged.range(pieces.row_lengths()).flat_values == 0,
        pieces.value_rowids(),
        no_word,
    )
    splits = tf.gather(pieces.row_splits, sentences.row_splits)

    def by_sentence(values: Tensor) -> Tensor:
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False)

    return rows_of_pieces(
        by_sentence(pieces.flat_values), by_sentence(numbers), size, stride
    )


def rows_of_pieces(
    ids: Tensor, numbers: Tensor, size: int, stride: int
) -> Rows:
    """Makes them of ids `(batch, None)`, and of the words that they start.

    Args:
        ids: of the pieces of each sentence, ragged.
        numbers: as `ids`, the number of the word that a piece is the first
            of, counted in all the batch, or `NO_WORD`.
        size: pieces in a window.
        stride: pieces from the start of one window to that of the next.
    """
    import tensorflow as tf

    length = ids.row_lengths()  # (B,)
    windows = windows_in_graph(
        length,
        tf.fill(tf.shape(length), tf.cast(size, "int64")),
        tf.fill(tf.shape(length), tf.cast(stride, "int64")),
    )
    words = windows.take(numbers)
    own = tf.where(
        windows.own().flat_values,
        words.flat_values,
        tf.constant(NO_WORD, "int64"),
    )
    return Rows(windows.texts, windows.take(ids), words.with_flat_values(own))
