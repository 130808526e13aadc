"""Kinds of text classification, in the words of Hugging Face."""

from typing import Any

import keras

from keras_convbert.types import Activation

SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)


def resolve_problem_type(
    problem_type: str | None, activation: Activation, num_classes: int
) -> str:
    """Returns the problem type; `None` follows from the other arguments.

    Raises:
        ValueError: if it is unknown, or contradicts the other arguments.
    """
    fixed = {
        keras.activations.softmax: SINGLE_LABEL,
        keras.activations.sigmoid: MULTI_LABEL,
    }.get(keras.activations.get(activation))
    if problem_type is None:
        return fixed or (REGRESSION if num_classes == 1 else SINGLE_LABEL)
    if problem_type not in PROBLEM_TYPES:
        raise ValueError(
            "Invalid value for argument `problem_type`. Expected one of "
            f"{PROBLEM_TYPES}, or `None`. "
            f"Received: problem_type={problem_type!r}"
        )
    if fixed not in (None, problem_type):
        name = keras.activations.serialize(keras.activations.get(activation))
        raise ValueError(
            f"Expected `problem_type={fixed!r}`, as the activation {name!r} "
            f"implies. Received: problem_type={problem_type!r}"
        )
    if problem_type == SINGLE_LABEL and num_classes == 1:
        raise ValueError(
            "Expected at least 2 classes for "
            f"`problem_type={SINGLE_LABEL!r}`. "
            f"Received: num_classes={num_classes}"
        )
    return problem_type


def problem_type_of(model: Any) -> str:
    """Returns the problem type of a classifier of any family."""
    found: str | None = getattr(model, "problem_type", None)
    return found or resolve_problem_type(
        None, model.activation, model.num_classes
    )
