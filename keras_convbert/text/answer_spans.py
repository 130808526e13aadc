"""Reads answers as spans of characters of their contexts."""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.types import Tensor

KEYS = ("text", "answer_start")


class Answer(NamedTuple):
    """Characters `start` to `end` of a context; -1 for no answer."""

    start: int
    end: int


def read_answers(contexts: list[str], given: Any) -> list[Answer]:
    """Returns where the answers are in their contexts.

    Args:
        contexts: list of strings.
        given: dict of `text`, the answers, and `answer_start`, their starts in
            the contexts in code points. The text is `""` for a question
            without an answer.

    Raises:
        ValueError: if an answer is not at its start.
    """
    _check_keys(given)
    texts, starts = (_listed(given[key]) for key in KEYS)
    if not len(texts) == len(starts) == len(contexts):
        raise ValueError(
            "Expected one answer per question. Received: "
            f"{len(contexts)} contexts, {len(texts)} texts and {len(starts)} "
            "starts"
        )
    answers = []
    for number, context in enumerate(contexts):
        text, start = _as_text(texts[number]), int(starts[number])
        end = start + len(text)
        if text and (start < 0 or context[start:end] != text):
            raise ValueError(
                "Expected `answer_start` to be the start of the answer in the "
                f"context, in code points. Received: {text!r} at {start}, "
                f"where sample {number} has {context[max(start, 0) : end]!r}"
            )
        answers.append(Answer(start, end) if text else Answer(-1, -1))
    return answers


def answers_in_graph(contexts: Tensor, given: Any) -> tuple[Tensor, Tensor]:
    """Does the same in a TensorFlow graph.

    Args:
        contexts: string tensor of shape `(batch,)`.
        given: dict of tensors `text` and `answer_start`, both `(batch,)`.

    Returns:
        The starts, -1 for no answer, and the ends, both `(batch,)`.
    """
    import tensorflow as tf

    _check_keys(given)
    text = given["text"]
    start = tf.cast(given["answer_start"], "int32")
    length = tf.strings.length(text, unit="UTF8_CHAR")
    within = tf.clip_by_value(
        start, 0, tf.strings.length(contexts, unit="UTF8_CHAR")
    )
    found = tf.strings.substr(contexts, within, length, unit="UTF8_CHAR")
    right = (length == 0) | ((found == text) & (start == within))
    check = tf.debugging.Assert(
        tf.reduce_all(right),
        [
            "Expected `answer_start` to be the start of the answer in the "
            "context, in code points. Received:",
            tf.boolean_mask(text, ~right),
            tf.boolean_mask(start, ~right),
        ],
    )
    with tf.control_dependencies([check]):
        start = tf.where(length == 0, -1, start)
        return start, start + length


def as_texts(values: Any) -> list[str]:
    """Returns the strings of a list, an array or a tensor.

    Raises:
        ValueError: if it is a single string, or contains anything else.
    """
    if not isinstance(values, (str, bytes)):
        texts = [_as_text(text) for text in _listed(values)]
        if all(isinstance(text, str) for text in texts):
            return texts
    raise ValueError(
        "Expected a list of strings, or a tensor of them. "
        f"Received: {values!r:.80}"
    )


def _check_keys(given: Any) -> None:
    if not isinstance(given, Mapping) or set(given) != set(KEYS):
        raise ValueError(
            f"Expected answers as a dict of {KEYS}. Received: y={given!r:.80}"
        )


def _as_text(text: Any) -> Any:
    return text.decode(errors="replace") if isinstance(text, bytes) else text


def _listed(values: Any) -> list[Any]:
    if hasattr(values, "numpy"):
        values = values.numpy()
    return values.tolist() if isinstance(values, np.ndarray) else list(values)
