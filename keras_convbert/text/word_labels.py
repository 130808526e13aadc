"""Checks the labels of words, and converts them to ids."""

import numbers
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_convbert.text.columns import as_list
from keras_convbert.text.columns import is_column
from keras_convbert.types import Tensor

NO_LABEL = -1
# Labels of words that the loss and the metrics ignore: that of Python, and
# that of PyTorch and Hugging Face.
LEFT_OUT = (None, -100)


def check_labels(labels: Sequence[str]) -> list[str]:
    """Returns the labels; raises `ValueError` unless they differ."""
    is_list = isinstance(labels, Iterable) and not isinstance(labels, str)
    found = list(labels) if is_list else []
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

    A label `None` or -100 becomes `NO_LABEL`.

    Args:
        labels: list of strings, in the order of their ids.
        words: list of lists of strings. The words of each sentence.
        given: names or ids of labels, of the form of `words`.

    Raises:
        ValueError: if words and labels differ in number, or a label is
            unknown.
    """
    ids: dict[Any, int] = {label: i for i, label in enumerate(labels)}
    ids.update(dict.fromkeys(LEFT_OUT, NO_LABEL))
    found = []
    for number, row in enumerate(_rows("label", words, given)):
        row = [_name(label) for label in row]
        unknown = [label for label in row if not _is_known(label, ids, labels)]
        if unknown:
            raise ValueError(
                f"Expected labels of {labels}. Received: {unknown[0]!r} in "
                f"sentence {number}, {words[number][:8]}"
            )
        found.append(np.array([ids.get(label, label) for label in row], int))
    return found


def word_weights(words: list[list[str]], given: Any) -> list[np.ndarray]:
    """Returns the weight of each word.

    Args:
        words: list of lists of strings. The words of each sentence.
        given: one weight per sentence, or one per word, of the form of
            `words`.

    Raises:
        ValueError: if the numbers differ, or a weight is not finite.
    """
    given = as_list(given)
    if any(is_column(row) for row in given):
        found = [
            np.array(row, "float32") for row in _rows("weight", words, given)
        ]
    else:
        found = [
            np.full(len(sentence), weight, "float32")
            for sentence, weight in zip(
                words, _sentences("weight", words, given), strict=True
            )
        ]
    for number, weights in enumerate(found):
        if not np.isfinite(weights).all():
            raise ValueError(
                "Expected finite weights. Received: "
                f"{given[number]!r} for sentence {number}, {words[number][:8]}"
            )
    return found


def _rows(name: str, words: list[list[str]], given: Any) -> Iterator[list[Any]]:
    """Yields the entries of each sentence, which must have one per word."""
    rows = _sentences(name, words, as_list(given))
    for number, (sentence, row) in enumerate(zip(words, rows, strict=True)):
        entries = as_list(row) if is_column(row) else row
        if isinstance(entries, tuple):
            entries = list(entries)
        if not isinstance(entries, list):
            raise ValueError(
                f"Expected a list of {name}s for each sentence. "
                f"Received: {row!r} for sentence {number}, {sentence[:8]}"
            )
        if len(entries) != len(sentence):
            raise ValueError(
                f"Expected a {name} for each word. Received: "
                f"{len(sentence)} words and {len(entries)} {name}s in sentence "
                f"{number}, {sentence[:8]}"
            )
        yield entries


def _sentences(name: str, words: list[list[str]], rows: list[Any]) -> list[Any]:
    if len(rows) != len(words):
        raise ValueError(
            f"Expected {name}s for each sentence. Received: "
            f"{len(words)} sentences, {name}s for {len(rows)}"
        )
    return rows


def _name(label: Any) -> Any:
    return label.decode() if isinstance(label, bytes) else label


def _is_known(label: Any, ids: dict[Any, int], labels: list[str]) -> bool:
    if isinstance(label, numbers.Integral) and label not in ids:
        return 0 <= int(label) < len(labels)
    return label in ids


def label_ids_in_graph(labels: list[str], words: Tensor, given: Tensor) -> Any:
    """Does the same in a TensorFlow graph.

    Args:
        labels: list of strings, in the order of their ids.
        words: ragged string tensor of shape `(batch, None)`.
        given: ragged tensor as `words`, of names or ids. Only ids can leave
            out a word, by -100.

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
        left_out = flat == -100
        flat = tf.where(left_out, NO_LABEL, flat)
        known = left_out | (flat >= 0) & (flat < len(labels))
    with tf.control_dependencies(
        [
            same,
            tf.debugging.Assert(
                tf.reduce_all(known), [message, given.flat_values], summarize=8
            ),
        ]
    ):
        return tf.identity(flat)
