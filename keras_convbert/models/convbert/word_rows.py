"""Sentences that come as words, as rows of pieces, in NumPy."""

from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.models.convbert.windows import windows_of

NO_WORD = -1


class Row(NamedTuple):
    """A window of a sentence."""

    sentence: int
    ids: np.ndarray
    """`(pieces,)`"""
    words: np.ndarray
    """`(pieces,)`: the number of the word whose label is there: at its first
    piece, in the window that the piece belongs to; else `NO_WORD`."""


def word_rows(
    tokenizer: Any, sentences: list[list[str]], size: int, stride: int
) -> list[Row]:
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
                Row(sentence, ids[part], np.where(own, numbers[part], NO_WORD))
            )
    return rows
