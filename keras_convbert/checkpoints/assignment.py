"""Moving named arrays into variables, all of them or none."""

import logging
import math
import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import NamedTuple
from typing import Protocol

import keras
import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError


class WeightMapping(NamedTuple):
    """The name of an array, the path of a variable, and how they agree.

    The axes of the array, put in the order that `order` gives (as it is if
    `None`), each stand for so many successive axes of the variable: a kernel
    `(C, n * d)` of a variable `(C, n, d)` has `axes=(1, 2)`, and 0 stands for
    an axis of one element.
    """

    name: str
    path: str
    axes: tuple[int, ...]
    order: tuple[int, ...] | None = None

    def shape_of_array(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the array for a variable of `shape`."""
        ordered = self._ordered_shape(shape)
        return tuple(ordered[place] for place in self._places())

    def to_variable(
        self, array: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        """`array` as the value of a variable of `shape`."""
        return array.transpose(self._order()).reshape(shape)

    def to_array(self, value: np.ndarray) -> np.ndarray:
        """The value of a variable as the array."""
        ordered = value.reshape(self._ordered_shape(value.shape))
        return np.ascontiguousarray(ordered.transpose(self._places()))

    def _ordered_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        ends = np.cumsum(self.axes).tolist()
        return tuple(
            math.prod(shape[end - count : end])
            for end, count in zip(ends, self.axes, strict=True)
        )

    def _places(self) -> list[int]:
        """Where each axis of the array stands in the order."""
        order = self._order()
        return [order.index(axis) for axis in range(len(order))]

    def _order(self) -> tuple[int, ...]:
        return self.order or tuple(range(len(self.axes)))


MAX_FLOAT16 = float(np.finfo("float16").max)
logger = logging.getLogger("keras_convbert")


class ArraySource(Protocol):
    """A file of named arrays."""

    shapes: dict[str, tuple[int, ...]]

    @property
    def size(self) -> int:
        """Bytes of the files."""

    def array(self, name: str) -> np.ndarray:
        """Reads the array called `name`."""


def assign_arrays(
    source: ArraySource,
    variables: Iterable[keras.Variable],
    table: Iterable[WeightMapping],
    ignored_patterns: Iterable[str] = (),
) -> None:
    """Gives every variable its array, once all are known to fit.

    Args:
        source: `ArraySource`. Where the arrays are.
        variables: iterable of variables, each of which has a row.
        table: iterable of rows; those of variables that are not there are
            passed over.
        ignored_patterns: iterable of strings. Patterns of the names of arrays
            that the source may hold besides; those it holds are logged.

    Raises:
        CheckpointError: if an array is missing, has another shape than its
            variable wants, is unknown, or holds NaN or infinity. Nothing is
            assigned then.
    """
    targets = {variable.path: variable for variable in variables}
    rows = {row.path: row for row in table if row.path in targets}
    if targets.keys() - rows.keys():
        raise CheckpointError(
            "No row tells where these variables come from: "
            f"{sorted(targets.keys() - rows.keys())}"
        )
    wanted = {
        row.name: row.shape_of_array(targets[path].shape)
        for path, row in rows.items()
    }
    _check(source, wanted, "|".join(ignored_patterns))
    # To read twice takes time, to keep what was there would take memory.
    for path, row in rows.items():
        _check_values(source, row.name, targets[path].dtype)
    for path, row in rows.items():
        variable = targets[path]
        array = source.array(row.name)
        variable.assign(row.to_variable(array, variable.shape))


def _check(
    source: ArraySource,
    wanted: Mapping[str, tuple[int, ...]],
    ignored_patterns: str,
) -> None:
    found = source.shapes
    others = {name: found[name] for name in found.keys() - wanted.keys()}
    known = [name for name in others if re.fullmatch(ignored_patterns, name)]
    faults: dict[str, dict[str, object]] = {
        "Missing": {n: s for n, s in wanted.items() if n not in found},
        "Of another shape": {
            name: f"{found[name]} instead of {shape}"
            for name, shape in wanted.items()
            if name in found and found[name] != shape
        },
        "Unknown": {n: s for n, s in others.items() if n not in known},
    }
    if any(faults.values()):
        raise CheckpointError(
            f"The arrays of {source} are not those of the model.\n"
            + "\n".join(_listed(k, v) for k, v in faults.items() if v)
        )
    if known:
        others = {name: found[name] for name in known}
        logger.info("%s", _listed(f"Not asked for in {source}", others))


def _check_values(source: ArraySource, name: str, dtype: str) -> None:
    array = source.array(name)
    if not keras.backend.is_float_dtype(array.dtype.name):
        raise CheckpointError(
            f"Expected {name!r} of {source} to be of a floating-point type. "
            f"Received: dtype={array.dtype}"
        )
    if not np.isfinite(array).all():
        raise CheckpointError(
            f"{source} holds values that are not finite. Received: NaN or "
            f"infinity in {name!r}"
        )
    if dtype == "float16" and abs(array).max(initial=0) > MAX_FLOAT16:
        raise CheckpointError(
            f"{source} holds values too large for float16 in {name!r}."
        )


def _listed(title: str, items: Mapping[str, object]) -> str:
    lines = [f"{name} {what}" for name, what in sorted(items.items())]
    return "\n  ".join([f"{title}:", *lines])
