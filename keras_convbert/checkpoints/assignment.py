"""Assigns named arrays to variables, all of them or none."""

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
    """Maps the name and layout of an array to those of a variable.

    The axes of the array are first transposed by `order` (`None` keeps them).
    Then axis `i` corresponds to `axes[i]` successive axes of the variable: an
    array `(D, H * R)` of a variable `(D, H, R)` has `axes=(1, 2)`. A value of
    0 is an axis of size 1 that the variable does not have.
    """

    name: str
    path: str
    axes: tuple[int, ...]
    order: tuple[int, ...] | None = None

    def shape_of_array(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of the array for a variable of `shape`."""
        ordered = self._ordered_shape(shape)
        return tuple(ordered[position] for position in self._positions())

    def to_variable(
        self, array: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        """Converts an array to the value of a variable of `shape`."""
        return array.transpose(self._order()).reshape(shape)

    def to_array(self, value: np.ndarray) -> np.ndarray:
        """Converts the value of a variable to an array of the file."""
        ordered = value.reshape(self._ordered_shape(value.shape))
        return np.ascontiguousarray(ordered.transpose(self._positions()))

    def _ordered_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        ends = np.cumsum(self.axes).tolist()
        return tuple(
            math.prod(shape[end - count : end])
            for end, count in zip(ends, self.axes, strict=True)
        )

    def _positions(self) -> list[int]:
        """Returns the position of each axis of the array in the order."""
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
        """Size of the files in bytes."""

    def array(self, name: str) -> np.ndarray:
        """Reads the array called `name`."""


def assign_arrays(
    source: ArraySource,
    variables: Iterable[keras.Variable],
    table: Iterable[WeightMapping],
    ignored_patterns: Iterable[str] = (),
) -> None:
    """Assigns an array to every variable, after checking all arrays.

    Args:
        source: `ArraySource`. It reads the arrays.
        variables: iterable of variables. The table must list each of them.
        table: iterable of `WeightMapping`. Entries for other variables are
            ignored.
        ignored_patterns: iterable of strings. Regular expressions for the
            names of further arrays that the source may contain. Such arrays
            are logged and not read. Defaults to `()`.

    Raises:
        CheckpointError: if an array is missing, unknown or of another shape
            than its variable needs, or if it contains NaN or infinity. No
            variable is assigned then.
    """
    targets = {variable.path: variable for variable in variables}
    rows = {row.path: row for row in table if row.path in targets}
    if targets.keys() - rows.keys():
        raise CheckpointError(
            "Expected a table that lists every variable. Received: no entry "
            f"for {sorted(targets.keys() - rows.keys())}"
        )
    wanted = {
        row.name: row.shape_of_array(targets[path].shape)
        for path, row in rows.items()
    }
    _check(source, wanted, "|".join(ignored_patterns))
    # Every array is read twice: keeping the old values would take memory.
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
            f"The arrays of {source} do not match the model.\n"
            + "\n".join(_listed(k, v) for k, v in faults.items() if v)
        )
    if known:
        others = {name: found[name] for name in known}
        logger.info("%s", _listed(f"Ignored arrays of {source}", others))


def _check_values(source: ArraySource, name: str, dtype: str) -> None:
    array = source.array(name)
    if not keras.backend.is_float_dtype(array.dtype.name):
        raise CheckpointError(
            f"Expected {name!r} of {source} to have a floating-point type. "
            f"Received: dtype={array.dtype}"
        )
    if not np.isfinite(array).all():
        raise CheckpointError(
            f"Expected finite values in {source}. Received: NaN or infinity in "
            f"{name!r}"
        )
    if dtype == "float16" and abs(array).max(initial=0) > MAX_FLOAT16:
        raise CheckpointError(
            f"Expected values up to {MAX_FLOAT16} for float16 in {source}. "
            f"Received: larger values in {name!r}"
        )


def _listed(title: str, items: Mapping[str, object]) -> str:
    lines = [f"{name} {what}" for name, what in sorted(items.items())]
    return "\n  ".join([f"{title}:", *lines])
