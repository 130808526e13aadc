"""Checks the labels of texts, in arrays and in TensorFlow graphs.

The error is a `ValueError` for arrays, and an `InvalidArgumentError` when a
graph runs.
"""

import numbers
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_convbert.text.word_labels import check_labels

# Forms of labels, C being the number of classes.
IDS = "ids"
"""Class ids, of shape `(B,)` or `(B, 1)`."""
ONE_HOT = "one_hot"
"""A distribution over the classes, of shape `(B, C)`."""
VECTORS = "vectors"
"""A number from 0 to 1 for each class, of shape `(B, C)`."""
NUMBERS = "numbers"
"""Any numbers, of shape `(B, C)`."""

SHOWN_NAMES = 20


def check_class_names(
    labels: Sequence[str] | None, num_classes: int | None
) -> tuple[list[str] | None, int]:
    """Returns the names of classes and their number.

    Raises:
        ValueError: if names are not unique strings, or their number is not
            `num_classes`, or both are `None`.
    """
    if labels is not None:
        labels = check_labels(labels)
        for label in labels:
            try:
                label.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    "Expected `labels` that UTF-8 can encode. "
                    f"Received: label={label!r}"
                ) from error
        if num_classes is None:
            num_classes = len(labels)
    if num_classes is None:
        raise ValueError(
            "Expected `num_classes`, or `labels` with a name for each class. "
            "Received: num_classes=None, labels=None"
        )
    if (
        not isinstance(num_classes, int)
        or isinstance(num_classes, bool)
        or num_classes < 1
    ):
        raise ValueError(
            "Invalid value for argument `num_classes`. Expected a "
            f"positive integer. Received: num_classes={num_classes!r}"
        )
    if labels is not None and len(labels) != num_classes:
        raise ValueError(
            f"Expected `labels` to have {num_classes} names, as "
            f"`num_classes={num_classes}`. Received: labels={labels}"
        )
    return labels, num_classes


def encode_class_names(
    given: Any, names: Sequence[str] | None, form: str, num_classes: int
) -> Any:
    """Returns labels as numbers: names of classes become ids or vectors.

    Args:
        given: labels of any type; numbers are returned unchanged.
        names: names of the classes, or `None`.
        form: string. The form of labels to make of names.
        num_classes: int. Number of classes.

    Raises:
        ValueError: if a label is missing or unknown, or names have another
            form.
    """
    if _in_tensorflow(given):
        if given.dtype != "string":
            return given
        return _encode_in_graph(given, _known(names, "strings", form), form)
    array = _as_array(given)
    if array.dtype.kind in "biuf":
        if array.shape[1:] == (0,) and form == VECTORS:
            # No text has a label.
            return np.zeros((len(array), num_classes), "float32")
        return _narrow(array) if isinstance(given, (list, tuple)) else given
    rows = [x.tolist() if hasattr(x, "tolist") else x for x in array.tolist()]
    parts = [row if isinstance(row, (list, tuple)) else [row] for row in rows]
    for number, part in enumerate(parts):
        for label in part:
            if not isinstance(label, (str, bytes, numbers.Number)):
                raise ValueError(
                    "Expected a number or the name of a class for each "
                    f"label. Received: {label!r} for sample {number}"
                )
    if not any(isinstance(x, (str, bytes)) for part in parts for x in part):
        return _as_numbers(rows)
    decoded = [
        [
            x.decode(errors="replace") if isinstance(x, bytes) else x
            for x in part
        ]
        for part in parts
    ]
    first = next(x for part in decoded for x in part if isinstance(x, str))
    known = _known(names, repr(first), form)
    ids = {name: i for i, name in enumerate(known)}
    hot = np.zeros((len(rows), num_classes), "float32")
    for number, (row, part) in enumerate(zip(rows, decoded, strict=True)):
        for label in part:
            if label not in ids:
                raise ValueError(
                    f"Expected labels of {_shown(known)}. "
                    f"Received: {label!r} for sample {number}"
                )
            hot[number, ids[label]] = 1.0
        one_name = not isinstance(row, (list, tuple))
        if one_name if form == VECTORS else len(part) != 1:
            raise ValueError(
                f"Expected {_wanted(form)} for each text. "
                f"Received: {row!r} for sample {number}"
            )
    if form == IDS:
        return hot.argmax(-1).astype("int32")
    return hot


def _encode_in_graph(given: Any, known: Sequence[str], form: str) -> Any:
    import tensorflow as tf

    ragged = isinstance(given, tf.RaggedTensor)
    names = given.flat_values if ragged else given
    equal = names[..., None] == tf.constant(list(known))
    right = tf.reduce_any(equal, axis=-1)
    check = tf.debugging.Assert(
        tf.reduce_all(right),
        [
            f"Expected labels of {_shown(known)}. Received:",
            tf.boolean_mask(names, ~right),
        ],
        summarize=3,
    )
    with tf.control_dependencies([check]):
        equal = tf.identity(equal)
    if ragged:
        equal = given.with_flat_values(equal)  # (B, None, C)
    several = equal.shape.rank == 3 and (ragged or equal.shape[1] != 1)
    if several if form != VECTORS else equal.shape.rank != 3:
        raise ValueError(
            f"Expected {_wanted(form)} for each text. "
            f"Received: labels of shape {given.shape}"
        )
    if equal.shape.rank == 3:
        equal = tf.reduce_any(equal, axis=1)  # (B, C)
    if form == IDS:
        return tf.argmax(equal, axis=-1, output_type="int32")
    return tf.cast(equal, "float32")


def _known(
    names: Sequence[str] | None, received: str, form: str
) -> Sequence[str]:
    if form == NUMBERS:
        raise ValueError(
            "Expected labels that are numbers, for regression. "
            f"Received: {received}"
        )
    if names is None:
        raise ValueError(
            "Expected labels that are numbers. To train on the names of "
            'classes, pass them to the task, as `labels=["neg", "pos"]`. '
            f"Received: {received}"
        )
    return names


def _wanted(form: str) -> str:
    return "a list of class names" if form == VECTORS else "one class name"


def _shown(names: Sequence[str]) -> str:
    more = ", …" if len(names) > SHOWN_NAMES else ""
    return ", ".join(map(repr, names[:SHOWN_NAMES])) + more


def _as_numbers(rows: list[Any]) -> np.ndarray:
    try:
        return _narrow(np.asarray(rows))
    except ValueError as error:
        raise ValueError(
            "Expected as many numbers for each text. "
            f"Received: labels={rows!r:.80}"
        ) from error


def _narrow(array: np.ndarray) -> np.ndarray:
    """Returns an array in the dtype in which Keras reads Python numbers."""
    narrow = {"float64": "float32", "int64": "int32"}
    return array.astype(narrow.get(array.dtype.name, array.dtype))


def check_shape(labels: Any, num_classes: int, form: str) -> None:
    """Raises an error unless the shape of labels is that of a form."""
    shape = labels.shape if _in_tensorflow(labels) else np.shape(labels)
    if getattr(shape, "rank", 0) is None:
        return
    rest = tuple(shape)[1:]
    width = 1 if form == IDS else num_classes
    if len(shape) > 0 and (
        rest in ((width,), (None,)) or (width == 1 and rest == ())
    ):
        return
    wanted = "(batch,)" if width == 1 else f"(batch, {width})"
    if form == IDS:
        advice = (
            ", a class id per text. For one-hot labels compile with "
            "`keras.losses.CategoricalCrossentropy`"
        )
    elif form == ONE_HOT:
        advice = (
            ", one-hot. For class ids compile with "
            "`keras.losses.SparseCategoricalCrossentropy`"
        )
    else:
        advice = ", a number per output"
    raise ValueError(
        f"Expected labels of shape {wanted}{advice}. "
        f"Received: labels of shape {tuple(shape)}"
    )


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
    if _in_tensorflow(labels):
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


def _in_tensorflow(labels: Any) -> bool:
    return type(labels).__module__.startswith("tensorflow")


def _as_array(labels: Any) -> np.ndarray:
    try:
        return np.asarray(labels)
    except ValueError:
        # The rows have different lengths.
        array = np.empty(len(labels), object)
        for number, row in enumerate(labels):
            array[number] = row
        return array
