"""Reads samples in memory: lists, arrays, tensors, and columns of tables."""

import contextlib
import math
import numbers
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np

# The methods by which pyarrow, pandas, polars and TensorFlow make lists.
TO_LIST = ("to_pylist", "to_list", "tolist")


def is_column(values: Any) -> bool:
    """Returns whether `values` holds one entry per sample, in memory.

    A tuple is a column if its entries are strings or numbers; a tuple of
    columns holds the parts of the samples, such as pairs.
    """
    if isinstance(values, (str, bytes)) or is_table(values):
        return False
    if isinstance(values, tuple):
        return _is_flat(values)
    if hasattr(values, "shape") and hasattr(values, "dtype"):
        return len(values.shape) > 0
    return isinstance(values, Sequence) or hasattr(values, "to_pylist")


def is_table(values: Any) -> bool:
    """Returns whether `values` is a table of columns, such as a data frame."""
    return hasattr(type(values), "columns") or hasattr(
        type(values), "column_names"
    )


def as_column(values: Any) -> Any:
    """Returns a column as a list, an array or a tensor.

    Arrays and tensors remain as they are, and so does anything that is not a
    column. Missing values become `None`, except NaN among numbers.
    """
    if isinstance(values, list):
        return values
    if isinstance(values, np.ndarray):
        # Other code knows strings of variable width as objects only.
        return values.astype(object) if values.dtype.kind == "T" else values
    if not is_column(values):
        # Labels in several columns of a data frame.
        is_frame = is_table(values) and hasattr(values, "to_numpy")
        return values.to_numpy() if is_frame else values
    if _is_array(values):
        return values
    return _without_missing(_entries(values))


def as_list(values: Any) -> list[Any]:
    """Returns the entries of a column, of a tensor too, as Python objects."""
    values = as_column(values)
    if isinstance(values, list):
        return values
    if hasattr(values, "numpy"):
        values = values.numpy()
    return values.tolist() if hasattr(values, "tolist") else list(values)


def map_columns(function: Callable[[Any], Any], samples: Any) -> Any:
    """Applies a function to the columns in nested tuples and dicts."""
    if samples is None:
        return None
    if isinstance(samples, dict):
        return {k: map_columns(function, v) for k, v in samples.items()}
    if isinstance(samples, tuple) and not _is_flat(samples):
        return tuple(map_columns(function, part) for part in samples)
    return function(samples)


def columns_of(samples: Any) -> list[Any]:
    """Returns the columns in nested tuples and dicts."""
    columns: list[Any] = []
    map_columns(columns.append, samples)
    return columns


def first_missing(column: Any) -> int | None:
    """Returns the index of the first missing entry of a column, or `None`."""
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return None
    if not isinstance(column, (list, np.ndarray)):
        return None
    return next((i for i, entry in enumerate(column) if entry is None), None)


def _is_flat(values: tuple[Any, ...]) -> bool:
    scalars = (str, bytes, numbers.Number, np.generic, type(None))
    return (
        len(values) > 0
        and all(isinstance(value, scalars) for value in values)
        and any(value is not None for value in values)
    )


def _is_array(values: Any) -> bool:
    """Whether NumPy reads the values without a loss of type.

    Columns of pandas and polars have a shape and a dtype too.
    """
    if hasattr(values, "row_splits"):
        # Inside a graph, a ragged tensor has no values yet.
        return not hasattr(values.row_splits, "numpy")
    return (
        hasattr(values, "shape")
        and hasattr(values, "dtype")
        and not hasattr(values, "to_list")
        and not hasattr(values, "isna")
    )


def _entries(values: Any) -> list[Any]:
    for method in TO_LIST:
        if hasattr(values, method):
            return list(getattr(values, method)())
    # A column of `datasets` reads a slice a hundred times as fast as entries.
    with contextlib.suppress(TypeError):
        values = values[:]
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _without_missing(entries: list[Any]) -> list[Any]:
    texts = any(isinstance(entry, (str, bytes)) for entry in entries)
    return [None if _is_missing(entry, texts) else entry for entry in entries]


def _is_missing(entry: Any, texts: bool) -> bool:
    # `pandas.NA`, without an import of pandas.
    if type(entry).__name__ == "NAType":
        return True
    return texts and isinstance(entry, float) and math.isnan(entry)
