"""The words that BERT's tokenizer splits texts into, in TensorFlow."""

from typing import Any
from typing import NamedTuple

from keras_convbert.models.convbert.word_rows import NO_WORD
from keras_convbert.types import Tensor


class Words(NamedTuple):
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


def words_of_texts(tokenizer: Any, texts: Tensor) -> Words:
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
    return Words(
        ids,
        ids.with_flat_values(tf.where(first, numbers, NO_WORD)),
        *(
            tf.RaggedTensor.from_row_splits(
                tf.boolean_mask(places.flat_values, at), splits, validate=False
            )
            for places, at in ((starts, first), (ends, last))
        ),
    )
