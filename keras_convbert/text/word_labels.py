"""Checks the labels of words, and converts them to ids."""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_convbert.types import Tensor


def check_labels(labels: Sequence[str]) -> list[str]:
    """Returns the labels; raises `ValueError` unless they differ."""
    found = [] if isinstance(labels, str) else list(labels)
    if (
        not found
        or not all(isinstance(label, str) and label for label in found)
        or len(set(found)) < len(found)
    ):
        raise ValueError(
            "Invalid value for argument `labels`. Expected a list of different "
            f"strings. Received: labels={labels!r}"
        )
    return found


def label_ids(
    labels: list[str], words: list[list[str]], given: Any
) -> list[np.ndarray]:
    """Returns the label ids of the words of each sentence.

    Args:
        labels: list of strings, in the order of their ids.
        words: list of lists of strings. The words of each sentence.
        given: names or ids of labels, of the form of `words`.

    Raises:
        ValueError: if words and labels differ in number, or a label is
            unknown.
    """
    ids: dict[Any, int] = {label: i for i, label in enumerate(labels)}
    rows = given.to_list() if hasattr(given, "to_list") else list(given)
    if len(rows) != len(words):
        raise ValueError(
            "Expected labels for each sentence. Received: "
            f"{len(words)} sentences, labels for {len(rows)}"
        )
    found = []
    for number, (sentence, row) in enumerate(zip(words, rows, strict=True)):
        row = [_name(label) for label in row]
        if len(row) != len(sentence):
            raise ValueError(
                "Expected a label for each word. Received: "
                f"{len(sentence)} words and {len(row)} labels in sentence "
                f"{number}, {sentence[:8]}"
            )
        unknown = [label for label in row if not _is_known(label, ids)]
        if unknown:
            raise ValueError(
                f"Expected labels of {labels}. Received: {unknown[0]!r} in "
                f"sentence {number}, {sentence[:8]}"
            )
        found.append(np.array([ids.get(label, label) for label in row], int))
    return found


def _name(label: Any) -> Any:
    return label.decode() if isinstance(label, bytes) else label


def _is_known(label: Any, ids: dict[Any, int]) -> bool:
    if isinstance(label, numbers.Integral):
        return 0 <= int(label) < len(ids)
    return label in ids


def label_ids_in_graph(labels: list[str], words: Tensor, given: Tensor) -> Any:
    """Does the same in a TensorFlow graph.

    Args:
        labels: list of strings, in the order of their ids.
        words: ragged string tensor of shape `(batch, None)`.
        given: ragged tensor as `words`, of names or ids.

    Returns:
        int32 tensor of shape `(words,)`.
    """
    import tensorflow as tf

    message = f"Expected a label of {labels} for each word."
    same = tf.debugging.assert_equal(
        words.row_splits, tf.cast(given.row_splits, "int64"), message
    )
    flat = given.flat_values
    if flat.dtype == tf.string:
        equal = flat[:, None] == tf.constant(labels)  # (words, labels)
        known = tf.reduce_any(equal, axis=-1)
        flat = tf.argmax(equal, axis=-1, output_type="int32")
    else:
        flat = tf.cast(flat, "int32")
        known = (flat >= 0) & (flat < len(labels))
    with tf.control_dependencies(
        [
            same,
            tf.debugging.Assert(
                tf.reduce_all(known), [message, given.flat_values], summarize=8
            ),
        ]
    ):
        return tf.identity(flat)
