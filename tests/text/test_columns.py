import array
import collections

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from keras_convbert.text.columns import as_column
from keras_convbert.text.columns import as_list
from keras_convbert.text.columns import columns_of
from keras_convbert.text.columns import first_missing
from keras_convbert.text.columns import is_column
from keras_convbert.text.columns import is_table

pytestmark = pytest.mark.once

TEXTS = ["a", "b c", "a"]
TABLE = datasets.Dataset.from_dict({"x": TEXTS, "n": [1, 0, 2]})
STRINGS = [
    tuple(TEXTS),
    np.array(TEXTS),
    np.array(TEXTS, object),
    np.array(TEXTS, np.dtypes.StringDType()),
    collections.UserList(TEXTS),
    collections.deque(TEXTS),
    TABLE["x"],
    TABLE.with_format("numpy")["x"],
    pd.Series(TEXTS),
    pd.Series(TEXTS, dtype="string[pyarrow]"),
    pd.Series(TEXTS, dtype="category"),
    pd.Series(TEXTS).array,
    pd.Index(TEXTS),
    pl.Series(TEXTS),
    pl.Series(TEXTS, dtype=pl.Categorical),
    pa.array(TEXTS),
    pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    pa.array(TEXTS).dictionary_encode(),
]
NUMBERS = [
    (1, 0, 2),
    np.array([1, 0, 2]),
    array.array("i", [1, 0, 2]),
    TABLE["n"],
    pd.Series([1, 0, 2], dtype="Int64"),
    pd.Series([1, 0, 2], index=[7, 8, 9]),
    pd.array([1, 0, 2]),
    pl.Series([1, 0, 2]),
    pa.chunked_array([[1], [0, 2]]),
]


@pytest.mark.parametrize("column", STRINGS, ids=lambda c: type(c).__name__)
def test_columns_of_strings(column):
    assert is_column(column)
    assert len(columns_of(column)) == 1
    assert as_list(column) == TEXTS
    assert type(as_column(column)) in (list, np.ndarray)


@pytest.mark.parametrize("column", NUMBERS, ids=lambda c: type(c).__name__)
def test_columns_of_numbers(column):
    assert is_column(column)
    assert as_list(column) == [1, 0, 2]


def test_a_range_is_a_column():
    assert as_column(range(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", None, "b"]),
        pd.Series(["a", float("nan"), "b"], dtype=object),
        pd.Series(["a", pd.NA, "b"], dtype="string[pyarrow]"),
        pd.Series([1, pd.NA, 2], dtype="Int64"),
        pd.Series(["a", None, "b"], dtype="category"),
        pl.Series(["a", None, "b"]),
        pl.Series([1, None, 2]),
        pa.array(["a", None, "b"]),
        datasets.Dataset.from_dict({"x": ["a", None, "b"]})["x"],
        ["a", None, "b"],
    ],
    ids=lambda c: type(c).__name__,
)
def test_missing_values_are_found(column):
    assert first_missing(as_column(column)) == 1


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"a": [1]}),
        pl.DataFrame({"a": [1]}),
        pl.LazyFrame({"a": [1]}),
        pa.table({"a": [1]}),
        TABLE,
        TABLE.to_iterable_dataset(),
    ],
    ids=lambda t: type(t).__name__,
)
def test_tables_are_not_columns(table):
    assert is_table(table)
    assert not is_column(table)


@pytest.mark.parametrize(
    "other",
    ["a", b"a", 1, None, {"a": [1]}, {1}, iter([1]), (["a"], ["b"]), ()],
    ids=lambda other: type(other).__name__,
)
def test_other_objects_are_not_columns(other):
    assert not is_column(other)
    assert not is_table(other)


def test_the_parts_of_pairs_are_columns():
    assert columns_of((["a"], None, {"b": ("c", "d")})) == [["a"], ("c", "d")]
    assert columns_of(((1, 2), [3])) == [(1, 2), [3]]
