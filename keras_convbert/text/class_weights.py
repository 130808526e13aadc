"""Reads the weights of classes."""

import math
import numbers
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np


def class_weights(
    names: Sequence[str] | None, num_classes: int, given: Any
) -> np.ndarray:
    """Returns the weight of each class, 1 where none is given.

    Args:
        names: names of the classes, in the order of their ids, or `None`.
        num_classes: int. Number of classes.
        given: dict of names or ids of classes to weights.

    Raises:
        ValueError: if it is not a dict, a class is unknown or repeated, or a
            weight is negative or not finite.
    """
    if not isinstance(given, Mapping):
        raise ValueError(
            "Expected `class_weight` to be a dict of classes to weights. "
            f"Received: class_weight={given!r:.200}"
        )
    ids = {name: i for i, name in enumerate(names or ())}
    weights: dict[int, float] = {}
    for key, weight in given.items():
        index: Any = ids.get(key) if isinstance(key, str) else key
        is_id = isinstance(index, numbers.Integral) and not isinstance(
            index, bool
        )
        if not is_id or not 0 <= index < num_classes or index in weights:
            known = [*ids] if ids else "the class names as `labels`"
            raise ValueError(
                f"Expected `class_weight` with ids from 0 to {num_classes - 1}"
                f", or with names of {known}, each class once. "
                f"Received: {key!r} in class_weight={given}"
            )
        is_number = isinstance(weight, numbers.Real)
        if not is_number or not math.isfinite(weight) or weight < 0:
            raise ValueError(
                "Expected the weights in `class_weight` to be finite numbers "
                f"of at least 0. Received: {weight!r} for {key!r}"
            )
        weights[int(index)] = float(weight)
    return np.array(
        [weights.get(i, 1.0) for i in range(num_classes)], "float32"
    )
