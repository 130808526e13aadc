"""Scores of the classes of texts, for `predict_labels`."""

from typing import Any

import keras
import numpy as np

from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.base.batch_prediction import predict_batch
from keras_convbert.models.base.batch_prediction import required_preprocessor
from keras_convbert.models.base.in_memory_dataset import as_arrays
from keras_convbert.models.base.input_checks import check_windows
from keras_convbert.models.base.problem_types import MULTI_LABEL
from keras_convbert.models.base.problem_types import problem_type_of
from keras_convbert.text.answer_spans import as_texts
from keras_convbert.text.special_tokens import pad_segments
from keras_convbert.text.windows import windows_of

LONG_TEXTS = ("truncate", "window")
REDUCTIONS = ("mean", "max")
TINY = np.finfo("float32").tiny


def class_logits(
    task: Any,
    texts: Any,
    batch_size: int,
    long_texts: str,
    stride: int | None,
    window_reduction: str,
) -> np.ndarray:
    """Returns the logits of each text, of shape `(B, C)`.

    The arguments are those of `predict_labels` of a classifier.
    """
    preprocessor = required_preprocessor(task)
    check_positive_integers(batch_size=batch_size)
    _check_choice("long_texts", long_texts, LONG_TEXTS)
    _check_choice("window_reduction", window_reduction, REDUCTIONS)
    parts = texts if isinstance(texts, tuple) else (texts,)
    parts = tuple(as_texts(part) for part in parts)
    _check_parts(parts, long_texts)
    rows = len(parts[0])
    if rows == 0:
        return np.zeros((0, task.num_classes), "float32")
    if long_texts == "truncate":
        return np.concatenate(
            [
                _logits(
                    task,
                    _preprocessed(preprocessor, parts, first, last),
                    batch_size,
                )
                for first, last in _batches(rows, batch_size)
            ]
        )
    numbers, windows = _windows(preprocessor, parts[0], stride)
    logits = np.concatenate(
        [
            _logits(
                task,
                pad_segments(
                    preprocessor.tokenizer,
                    windows[first:last],
                    preprocessor.sequence_length,
                ),
                batch_size,
            )
            for first, last in _batches(len(windows), batch_size)
        ]
    )
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    reduce: Any = np.mean if window_reduction == "mean" else np.max
    return np.stack(
        [reduce(part, axis=0) for part in np.split(logits, starts[1:])]
    )


def probabilities_of(task: Any, logits: np.ndarray) -> np.ndarray:
    """Returns the probabilities of classes, float32 of the shape of logits."""
    if problem_type_of(task) == MULTI_LABEL:
        found = np.exp(-np.logaddexp(0.0, -logits))
    else:
        exponents = np.exp(logits - logits.max(-1, keepdims=True))
        found = exponents / exponents.sum(-1, keepdims=True)
    return np.asarray(found, "float32")


def _logits(task: Any, inputs: dict[str, Any], batch_size: int) -> np.ndarray:
    inputs = as_arrays(inputs)
    outputs: np.ndarray = predict_batch(task, inputs, batch_size)
    if task.activation is keras.activations.softmax:
        return np.log(np.maximum(outputs, TINY))
    if task.activation is keras.activations.sigmoid:
        odds = np.maximum(outputs, TINY) / np.maximum(1.0 - outputs, TINY)
        return np.log(odds)
    return outputs


def _preprocessed(
    preprocessor: Any, parts: tuple[list[str], ...], first: int, last: int
) -> Any:
    batch = tuple(part[first:last] for part in parts)
    return preprocessor(x=batch if len(batch) > 1 else batch[0])


def _windows(
    preprocessor: Any, texts: list[str], stride: int | None
) -> tuple[list[int], list[list[np.ndarray]]]:
    """Returns the number of the text of each window, and its segment."""
    size = preprocessor.sequence_length - 2
    check_windows(preprocessor.tokenizer, size, stride)
    numbers, windows = [], []
    for number, ids in enumerate(preprocessor.tokenizer(texts)):
        for window in windows_of(len(ids), size, stride or -(-size // 2)):
            numbers.append(number)
            windows.append([np.asarray(ids[window.start : window.end])])
    return numbers, windows


def _batches(rows: int, batch_size: int) -> list[tuple[int, int]]:
    return [(first, first + batch_size) for first in range(0, rows, batch_size)]


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected one of {choices}. "
            f"Received: {name}={value!r}"
        )


def _check_parts(parts: tuple[list[str], ...], long_texts: str) -> None:
    if len(parts) not in (1, 2) or len({*map(len, parts)}) > 1:
        raise ValueError(
            "Expected `texts` to be a list of strings, or a tuple of two "
            "lists of equal length. Received: a tuple of "
            f"{len(parts)} lists with {[*map(len, parts)]} strings"
        )
    if len(parts) > 1 and long_texts == "window":
        raise ValueError(
            'Expected `long_texts="truncate"` for pairs of texts. '
            f"Received: long_texts={long_texts!r}"
        )
