"""Sentences that come as words, as rows of pieces, in NumPy."""

from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.text.windows import windows_in_graph
from keras_convbert.text.windows import windows_of
from keras_convbert.types import Tensor

NO_WORD = -1


class WordWindow(NamedTuple):
    """A window of a sentence."""

    sentence: int
    ids: np.ndarray
    """`(pieces,)`"""
    words: np.ndarray
    """`(pieces,)`: the number of the word whose label is there: at its first
    piece, in the window that the piece belongs to; else `NO_WORD`."""


def word_windows(
    tokenizer: Any, sentences: list[list[str]], size: int, stride: int
) -> list[WordWindow]:
    """The windows of all sentences, in their order.

    A word of which nothing is left, as of one that is a control character,
    becomes `[UNK]`: each word has a place for its label.
    """
    pieces = iter(tokenizer([word for words in sentences for word in words]))
    unknown = [tokenizer.token_to_id(tokenizer.unk_token)]
    rows = []
    for sentence, words in enumerate(sentences):
        of_words = [next(pieces) or unknown for _ in words]
        ids = np.array([i for word in of_words for i in word], "int32")
        numbers = np.full(len(ids), NO_WORD)
        lengths = [len(word) for word in of_words]
        numbers[np.cumsum([0, *lengths[:-1]])[: len(words)]] = range(len(words))
        for window in windows_of(len(ids), size, stride):
            place = np.arange(window.start, window.end)
            own = (place >= window.first) & (place < window.last)
            part = slice(window.start, window.end)
            rows.append(
                WordWindow(
                    sentence, ids[part], np.where(own, numbers[part], NO_WORD)
                )
            )
    return rows


class WordWindows(NamedTuple):
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


def word_windows_in_graph(
    tokenizer: Any, sentences: Tensor, size: int, stride: int
) -> WordWindows:
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

    return windows_of_pieces(
        by_sentence(pieces.flat_values), by_sentence(numbers), size, stride
    )


def windows_of_pieces(
    ids: Tensor, numbers: Tensor, size: int, stride: int
) -> WordWindows:
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
    return WordWindows(
        windows.texts, windows.take(ids), words.with_flat_values(own)
    )


class WordSpans(NamedTuple):
    """What is at spaces, at punctuation and around CJK characters one word."""

    ids: Tensor
    """Of pieces, ragged, `(batch, None)`."""
    numbers: Tensor
    """As `ids`, the number of the word that a piece is the first of, counted
    in all the batch, or `NO_WORD`."""
    starts: Tensor
    """First characters of words, ragged, `(batch, None)`."""
    ends: Tensor
    """As `starts`, the characters after the last."""


def words_of_texts(tokenizer: Any, texts: Tensor) -> WordSpans:
    """Splits strings `(batch,)`."""
    import tensorflow as tf

    ids, starts, ends = tokenizer.tokenize_with_offsets(texts)
    suffix = tokenizer.suffix_indicator
    goes_on = tf.constant([t.startswith(suffix) for t in tokenizer.vocabulary])
    first = ~tf.gather(goes_on, ids.flat_values)  # (pieces,)
    numbers = tf.cumsum(tf.cast(first, "int64")) - 1
    # A piece is its word's last where another word follows, or nothing.
    last = tf.concat([first[1:], tf.ones_like(first[:1])], 0)
    counted = tf.pad(numbers + 1, [[1, 0]])
    splits = tf.gather(counted, ids.row_splits)
    return WordSpans(
        ids,
        ids.with_flat_values(tf.where(first, numbers, NO_WORD)),
        *(
            tf.RaggedTensor.from_row_splits(
                tf.boolean_mask(places.flat_values, at), splits, validate=False
            )
            for places, at in ((starts, first), (ends, last))
        ),
    )
