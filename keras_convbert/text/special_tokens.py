"""The special tokens around segments: `[CLS] first [SEP] second [SEP]`.

Worker processes that prepare data import this module without Keras.
"""

import itertools
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_convbert.types import Tensor

PAIR_SPECIAL_TOKENS = 3
"""Number of special tokens around two segments."""


def write_segments(
    token_ids: np.ndarray,
    segments: Iterable[Any],
    cls_token_id: int,
    sep_token_id: int,
) -> list[int]:
    """Writes segments with their special tokens to the start of an array.

    Args:
        token_ids: integer array of shape `(length,)`, written in place.
        segments: iterable of sequences of ids. There must be room for them.
        cls_token_id: int. Id of `[CLS]`, which comes first.
        sep_token_id: int. Id of `[SEP]`, which follows each segment.

    Returns:
        List of the positions after the `[SEP]` of each segment.
    """
    token_ids[0] = cls_token_id
    start = 1
    ends = []
    for segment in segments:
        stop = start + len(segment)
        token_ids[start:stop] = segment
        token_ids[stop] = sep_token_id
        start = stop + 1
        ends.append(start)
    return ends


def pad_segments(
    tokenizer: Any, rows: Sequence[Iterable[Any]], sequence_length: int
) -> dict[str, np.ndarray]:
    """Returns the model inputs for rows of segments.

    Args:
        tokenizer: gives the ids of `[CLS]`, `[SEP]` and `[PAD]`.
        rows: sequence of rows, each an iterable of segments, which are
            sequences of ids. A row and its special tokens must fit.
        sequence_length: int. Length of the outputs.

    Returns:
        Dict of int32 arrays `token_ids`, `segment_ids` and `padding_mask`,
        each of shape `(rows, sequence_length)`. The id of a segment is its
        number in the row, from 0.
    """
    shape = (len(rows), sequence_length)
    token_ids = np.full(shape, tokenizer.pad_token_id, "int32")
    segment_ids = np.zeros(shape, "int32")
    padding_mask = np.zeros(shape, "int32")
    for i, segments in enumerate(rows):
        ends = write_segments(
            token_ids[i],
            segments,
            tokenizer.cls_token_id,
            tokenizer.sep_token_id,
        )
        padding_mask[i, : ends[-1]] = 1
        for number, (start, end) in enumerate(itertools.pairwise(ends), 1):
            segment_ids[i, start:end] = number
    return {
        "token_ids": token_ids,
        "segment_ids": segment_ids,
        "padding_mask": padding_mask,
    }


def pad_segments_in_graph(
    tokenizer: Any, segments: Sequence[Tensor], sequence_length: int
) -> dict[str, Tensor]:
    """Does the same as `pad_segments` in a TensorFlow graph.

    Args:
        tokenizer: gives the ids of `[CLS]`, `[SEP]` and `[PAD]`.
        segments: sequence of ragged int32 tensors of shape `(rows, None)`:
            the first segments of all rows, the second segments, and so on.
        sequence_length: int. Length of the outputs.
    """
    import tensorflow as tf

    column = tf.ones([segments[0].nrows(), 1], "int32")
    parts = [
        tf.concat([segment, column * tokenizer.sep_token_id], 1)
        for segment in segments
    ]
    parts[0] = tf.concat([column * tokenizer.cls_token_id, parts[0]], 1)
    token_ids = tf.concat(parts, 1)
    segment_ids = [i * tf.ones_like(part) for i, part in enumerate(parts)]

    def padded(values: Tensor, padding: int) -> Tensor:
        return values.to_tensor(padding, shape=(None, sequence_length))

    return {
        "token_ids": padded(token_ids, tokenizer.pad_token_id),
        "segment_ids": padded(tf.concat(segment_ids, 1), 0),
        "padding_mask": padded(tf.ones_like(token_ids), 0),
    }
