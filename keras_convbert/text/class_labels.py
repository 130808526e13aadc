"""Checks the labels of texts, in arrays and in TensorFlow graphs.

The error is a `ValueError` for arrays, and an `InvalidArgumentError` when a
graph runs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def check_class_ids(
    labels: Any, num_classes: int, name: str = "num_classes"
) -> Any:
    """Returns the labels; raises an error unless all are class numbers.

    `name` is what the error calls the number of classes.
    """
    return _checked(
        labels,
        lambda label: (
            (label >= 0) & (label < num_classes) & (label == label // 1)
        ),
        f"Expected labels from 0 to {num_classes - 1}, as "
        f"`{name}={num_classes}`.",
    )


def check_probabilities(labels: Any) -> Any:
    """Returns the labels; raises an error unless all are from 0 to 1."""
    return _checked(
        labels,
        lambda label: (label >= 0) & (label <= 1),
        "Expected labels from 0 to 1, one per class of a text.",
    )


def check_finite(labels: Any) -> Any:
    """Returns the labels; raises an error unless all are finite."""
    return _checked(
        labels,
        lambda label: label - label == 0,
        "Expected labels that are finite.",
    )


def _checked(labels: Any, is_right: Callable[[Any], Any], message: str) -> Any:
    if type(labels).__module__.startswith("tensorflow"):
        import tensorflow as tf

        right = is_right(tf.cast(labels, "float32"))
        wrong = tf.boolean_mask(labels, ~right)
        check = tf.debugging.Assert(
            tf.reduce_all(right), [message, "Received:", wrong], summarize=3
        )
        with tf.control_dependencies([check]):
            return tf.identity(labels)
    found = np.asarray(labels)
    with np.errstate(invalid="ignore"):
        wrong = ~is_right(found.astype("float64"))
    if wrong.any():
        raise ValueError(
            f"{message} Received: {found[wrong][0].item()} for sample "
            f"{np.argwhere(wrong)[0][0]}"
        )
    return labels
