"""Pairs of a context and each of its choices."""

from typing import Any

import numpy as np

from keras_convbert.types import Tensor


def choice_pairs(x: Any) -> tuple[tuple[Any, Any], Any]:
    """Returns the pairs of all samples one after another, and their number.

    Args:
        x: tuple of B contexts, and of N choices per context; lists, arrays,
            or TensorFlow tensors.

    Returns:
        Tuple of a pair `(contexts, choices)`, each with B·N texts, and N.

    Raises:
        ValueError: if `x` has another form, or the numbers of choices differ.
    """
    if not isinstance(x, tuple) or len(x) != 2:
        raise ValueError(
            "Expected `x` to be a tuple `(contexts, choices)`. "
            f"Received: x of type {type(x).__name__}"
        )
    contexts, choices = x
    if _is_tensorflow(contexts) and _is_tensorflow(choices):
        return _pairs_in_graph(contexts, choices)
    contexts, choices = _as_list(contexts), _as_list(choices)
    counts = {len(of_one) for of_one in choices if not _is_text(of_one)}
    if (
        any(map(_is_text, choices))
        or len(choices) != len(contexts)
        or len(counts) != 1
        or 0 in counts
    ):
        raise ValueError(
            "Expected the same number of choices, at least one, for each "
            f"context. Received: {len(contexts)} contexts and "
            f"{len(choices)} lists of choices, with {sorted(counts)} choices"
        )
    count = counts.pop()
    repeated = [context for context in contexts for _ in range(count)]
    flat = [choice for of_one in choices for choice in of_one]
    return (repeated, flat), count


def regroup(rows: Tensor, num_choices: Any, length: int) -> Tensor:
    """Reshapes the rows of all choices to `(B, N, T)`."""
    if _is_tensorflow(rows):
        import tensorflow as tf

        return tf.reshape(rows, (-1, num_choices, length))
    return rows.reshape((-1, int(num_choices), length))


def _pairs_in_graph(contexts: Any, choices: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    if len(contexts.shape) != 1 or len(choices.shape) != 2:
        raise ValueError(
            "Expected contexts of shape `(batch,)` and choices of shape "
            f"`(batch, choices)`. Received: shapes {contexts.shape} and "
            f"{choices.shape}"
        )
    count = choices.shape[1]
    if count is None:
        count = tf.shape(choices)[1]
    pairs = tf.repeat(contexts, count), tf.reshape(choices, (-1,))
    return pairs, count


def _is_tensorflow(value: Any) -> bool:
    return type(value).__module__.startswith("tensorflow")


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, bytes))


def _as_list(values: Any) -> list[Any]:
    if _is_tensorflow(values):
        values = values.numpy()
    if _is_text(values):
        values = [values]
    return (
        np.asarray(values).tolist() if hasattr(values, "dtype") else [*values]
    )
