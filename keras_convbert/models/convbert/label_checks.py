"""What labels of whole texts have to be."""

from typing import Any

import numpy as np


def check_class_ids(labels: Any, num_classes: int) -> Any:
    """The labels; an error if one is the number of no class.

    Raises:
        ValueError: of arrays; in a graph of TensorFlow's,
            `InvalidArgumentError`, when it runs.
    """
    message = (
        f"Expected labels from 0 to {num_classes - 1}, one for each of "
        f"`num_classes={num_classes}`."
    )
    if not _is_tensorflow(labels):
        found = np.asarray(labels)
        wrong = (found < 0) | (found >= num_classes) | (found != found // 1)
        if wrong.any():
            raise ValueError(
                f"{message} Received: {found[wrong][0].item()} for sample "
                f"{np.argwhere(wrong)[0][0]}"
            )
        return labels
    import tensorflow as tf

    ids = tf.cast(labels, "float32")
    right = (ids >= 0) & (ids < num_classes) & (ids == tf.floor(ids))
    with tf.control_dependencies([_assert(right, message, labels)]):
        return tf.identity(labels)


def check_finite(labels: Any) -> Any:
    """The labels; an error, as of `check_class_ids`, if one is not finite."""
    message = "Expected labels that are finite."
    if not _is_tensorflow(labels):
        found = np.asarray(labels, "float64")
        wrong = ~np.isfinite(found)
        if wrong.any():
            raise ValueError(
                f"{message} Received: {found[wrong][0].item()} for sample "
                f"{np.argwhere(wrong)[0][0]}"
            )
        return labels
    import tensorflow as tf

    right = tf.math.is_finite(tf.cast(labels, "float32"))
    with tf.control_dependencies([_assert(right, message, labels)]):
        return tf.identity(labels)


def _is_tensorflow(labels: Any) -> bool:
    return type(labels).__module__.startswith("tensorflow")


def _assert(right: Any, message: str, labels: Any) -> Any:
    import tensorflow as tf

    wrong = tf.boolean_mask(labels, ~right)
    return tf.debugging.Assert(
        tf.reduce_all(right), [message, "Received:", wrong], summarize=3
    )
