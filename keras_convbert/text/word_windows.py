"""Cuts sentences of words into windows of pieces."""

from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.text.windows import Windows
from keras_convbert.text.windows import windows_in_graph
from keras_convbert.text.windows import windows_of
from keras_convbert.types import Tensor

NO_WORD = -1


class WordWindow(NamedTuple):
    """A window of the pieces of a sentence."""

    sentence: int
    ids: np.ndarray
    """`(pieces,)`"""
    words: np.ndarray
    """The number of the word whose label belongs to a piece, `(pieces,)`.

    The label of a word belongs to its first piece, in the window that has
    this piece as its own. It is `NO_WORD` elsewhere.
    """


def word_windows(
    tokenizer: Any, sentences: list[list[str]], size: int, stride: int
) -> list[WordWindow]:
    """Returns the windows of all sentences, in order.

    A word without pieces, such as a control character, becomes `[UNK]`, so
    that every word has a position for its label.
    """
    pieces = iter(tokenizer([word for words in sentences for word in words]))
    unknown = [tokenizer.token_to_id(tokenizer.unk_token)]
    windows = []
    for sentence, words in enumerate(sentences):
        of_words = [next(pieces) or unknown for _ in words]
        ids = np.array([i for word in of_words for i in word], "int32")
        numbers = np.full(len(ids), NO_WORD)
        lengths = [len(word) for word in of_words]
        numbers[np.cumsum([0, *lengths[:-1]])[: len(words)]] = range(len(words))
        for window in windows_of(len(ids), size, stride):
            piece = np.arange(window.start, window.end)
            own = (piece >= window.first) & (piece < window.last)
            part = slice(window.start, window.end)
            windows.append(
                WordWindow(
                    sentence, ids[part], np.where(own, numbers[part], NO_WORD)
                )
            )
    return windows


# In a TensorFlow graph


class WordWindows(NamedTuple):
    """The windows of all sentences, one per row."""

    sentences: Tensor
    """The number of the sentence, `(rows,)`."""
    ids: Tensor
    """Ragged, `(rows, None)`."""
    words: Tensor
    """As `ids`: the number of the word whose label belongs to a piece, else
    `NO_WORD`. Words are numbered over the batch."""


def ragged(words: Tensor) -> Tensor:
    """Returns a tensor of shape `(batch, None)` as a ragged tensor.

    Raises:
        ValueError: if a dense tensor does not have rank 2.
    """
    import tensorflow as tf

    if isinstance(words, tf.RaggedTensor):
        return words
    if words.shape.rank != 2:
        raise ValueError(
            "Expected sentences of words as a tensor of rank 2. "
            f"Received: a tensor of shape {words.shape}"
        )
    return tf.RaggedTensor.from_tensor(words)


def word_windows_in_graph(
    tokenizer: Any, sentences: Tensor, size: int, stride: int
) -> WordWindows:
    """Does the same as `word_windows` for ragged strings `(batch, None)`."""
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

    ids = by_sentence(pieces.flat_values)
    return take_windows(
        windows_of_pieces(ids, size, stride), ids, by_sentence(numbers)
    )


def windows_of_pieces(ids: Tensor, size: int, stride: int) -> Windows:
    """Returns the windows of sentences that are tokenized already.

    Args:
        ids: ragged integer tensor of shape `(batch, None)`, the pieces.
        size: int. Pieces of a window.
        stride: int. Pieces from the start of one window to that of the next.
    """
    import tensorflow as tf

    length = ids.row_lengths()  # (B,)
    return windows_in_graph(
        length,
        tf.fill(tf.shape(length), tf.cast(size, "int64")),
        tf.fill(tf.shape(length), tf.cast(stride, "int64")),
    )


def take_windows(windows: Windows, ids: Tensor, numbers: Tensor) -> WordWindows:
    """Returns windows with their pieces and words.

    Args:
        windows: windows of the sentences, all or some of them.
        ids: ragged integer tensor of shape `(batch, None)`, the pieces of the
            sentences.
        numbers: as `ids`, the number of the word that starts at a piece, else
            `NO_WORD`. Words are numbered over the batch.
    """
    import tensorflow as tf

    words = windows.take(numbers)
    own = tf.where(
        windows.own().flat_values,
        words.flat_values,
        tf.constant(NO_WORD, "int64"),
    )
    return WordWindows(
        windows.texts, windows.take(ids), words.with_flat_values(own)
    )


class WordSpans(NamedTuple):
    """The words of texts, split at spaces, punctuation and CJK characters."""

    ids: Tensor
    """The ids of pieces, ragged `(batch, None)`."""
    numbers: Tensor
    """As `ids`: the number of the word that starts at a piece, else `NO_WORD`.
    Words are numbered over the batch."""
    starts: Tensor
    """The first characters of words, ragged `(batch, None)`."""
    ends: Tensor
    """As `starts`: the characters after the last ones."""


def words_of_texts(tokenizer: Any, texts: Tensor) -> WordSpans:
    """Splits texts into words.

    Args:
        tokenizer: a tokenizer with `tokenize_with_offsets`.
        texts: string tensor of shape `(batch,)`.
    """
    import tensorflow as tf

    ids, starts, ends = tokenizer.tokenize_with_offsets(texts)
    suffix = tokenizer.suffix_indicator
    is_suffix = [t.startswith(suffix) for t in tokenizer.vocabulary]
    first = ~tf.gather(tf.constant(is_suffix), ids.flat_values)  # (pieces,)
    numbers = tf.cumsum(tf.cast(first, "int64")) - 1
    # A piece is the last of its word if another word or the end follows.
    last = tf.concat([first[1:], tf.ones_like(first[:1])], 0)
    counted = tf.pad(numbers + 1, [[1, 0]])
    splits = tf.gather(counted, ids.row_splits)
    return WordSpans(
        ids,
        ids.with_flat_values(tf.where(first, numbers, NO_WORD)),
        *(
            tf.RaggedTensor.from_row_splits(
                tf.boolean_mask(edges.flat_values, at),
                splits,
                validate=False,
            )
            for edges, at in ((starts, first), (ends, last))
        ),
    )
