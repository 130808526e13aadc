"""Reads answers as spans of characters of their contexts."""

import numbers
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from keras_convbert.text.columns import as_list
from keras_convbert.text.columns import is_column
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
            the contexts in code points; or one such dict, or a list of such
            dicts, per question. A question may have one answer, or a list of
            them, of which the first counts. It has no answer if the list is
            empty or the text is `""`.

    Raises:
        ValueError: if an answer is not at its start.
    """
    rows = _rows(given, len(contexts))
    if len(rows) != len(contexts):
        raise ValueError(
            "Expected one answer per question. Received: "
            f"{len(contexts)} contexts, answers for {len(rows)}"
        )
    return [
        _read_answer(number, context, *row)
        for number, (context, row) in enumerate(
            zip(contexts, rows, strict=True)
        )
    ]


def _rows(given: Any, count: int) -> list[tuple[Any, Any]]:
    """Returns the texts and the starts of the answers to each question."""
    if isinstance(given, Mapping):
        _check_keys(given, "y")
        texts, starts = (as_list(given[key]) for key in KEYS)
        if not len(texts) == len(starts) == count:
            raise ValueError(
                "Expected one answer per question. Received: "
                f"{count} contexts, {len(texts)} texts and {len(starts)} "
                "starts"
            )
        return [*zip(texts, starts, strict=True)]
    if not is_column(given) and not isinstance(given, tuple):
        _check_keys(given, "y")
    rows = []
    for number, record in enumerate(as_list(given)):
        name = f"y[{number}]"
        if isinstance(record, Mapping):
            _check_keys(record, name)
            rows.append((record["text"], record["answer_start"]))
            continue
        answers = as_list(record) if is_column(record) else [record]
        for answer in answers:
            _check_keys(answer, name)
        rows.append(
            (
                [answer["text"] for answer in answers],
                [answer["answer_start"] for answer in answers],
            )
        )
    return rows


def _read_answer(number: int, context: str, texts: Any, starts: Any) -> Answer:
    texts, starts = (
        as_list(part) if is_column(part) else [part] for part in (texts, starts)
    )
    if len(texts) != len(starts):
        raise ValueError(
            "Expected a start for each answer. Received: "
            f"{len(texts)} texts and {len(starts)} starts in sample {number}"
        )
    if not texts:
        return Answer(-1, -1)
    text, start = _as_text(texts[0]), starts[0]
    if not isinstance(text, str) or not isinstance(start, numbers.Integral):
        raise ValueError(
            "Expected answers as strings, and their starts as integers. "
            f"Received: {text!r} at {start!r} in sample {number}"
        )
    start = int(start)
    end = start + len(text)
    if text and (start < 0 or context[start:end] != text):
        raise ValueError(
            "Expected `answer_start` to be the start of the answer in the "
            f"context, in code points. Received: {text!r} at {start}, "
            f"where sample {number} has {context[max(start, 0) : end]!r}"
        )
    return Answer(start, end) if text else Answer(-1, -1)


def answers_in_graph(contexts: Tensor, given: Any) -> tuple[Tensor, Tensor]:
    """Does the same in a TensorFlow graph.

    Args:
        contexts: string tensor of shape `(batch,)`.
        given: dict of tensors `text` and `answer_start`, both `(batch,)`, or
            ragged or padded `(batch, None)`, of which the first counts.

    Returns:
        The starts, -1 for no answer, and the ends, both `(batch,)`.
    """
    import tensorflow as tf

    _check_keys(given, "y")
    text, start = (_first_in_graph(given[key]) for key in KEYS)
    start = tf.cast(start, "int32")
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


def _first_in_graph(answers: Tensor) -> Tensor:
    """Returns the first answer of each question, `""` or 0 if there is none."""
    import tensorflow as tf

    if answers.shape.rank == 1:
        return answers
    if not isinstance(answers, tf.RaggedTensor):
        answers = tf.RaggedTensor.from_tensor(answers)
    return answers.to_tensor(shape=(None, 1))[:, 0]


def as_texts(values: Any) -> list[str]:
    """Returns the strings of a list, an array or a tensor.

    Raises:
        ValueError: if it is a single string, or contains anything else.
    """
    if not isinstance(values, (str, bytes)):
        texts = [_as_text(text) for text in as_list(values)]
        if all(isinstance(text, str) for text in texts):
            return texts
    raise ValueError(
        "Expected a list of strings, or a tensor of them. "
        f"Received: {values!r:.80}"
    )


def _check_keys(given: Any, name: str) -> None:
    if not isinstance(given, Mapping) or set(given) != set(KEYS):
        raise ValueError(
            f"Expected answers as a dict of {KEYS}, or a list of such dicts. "
            f"Received: {name}={given!r:.80}"
        )


def _as_text(text: Any) -> Any:
    return text.decode(errors="replace") if isinstance(text, bytes) else text
