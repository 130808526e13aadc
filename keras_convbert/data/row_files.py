"""Reads a column of JSON Lines and Parquet files, in bounded memory.

A file ending tells the format. A row is a document. Missing values are skipped.
"""

import contextlib
import json
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import IO
from typing import Any
from typing import TypeAlias

from keras_convbert.data.text_files import opened

JSON_LINES = (".jsonl", ".jsonlines", ".ndjson", ".jl")
PARQUET = ".parquet"
COMPRESSED = (".gz", ".xz", ".zst")
# Limits in bytes and in rows.
LONGEST_ROW = 1 << 28
ROWS_PER_BATCH = 256
DECOMPRESS = "Decompress it; text may be compressed by gzip, xz or zstd."
OTHER_FORMATS = {
    **dict.fromkeys(
        (".csv", ".tsv", ".xlsx"),
        "Write its column of texts to a .jsonl or .parquet file.",
    ),
    ".json": "Write it as a .jsonl file, with one JSON object per line.",
    **dict.fromkeys((".arrow", ".feather"), "Write it as a .parquet file."),
    **dict.fromkeys((".zip", ".bz2", ".7z", ".tar", ".tgz"), DECOMPRESS),
}

Rows: TypeAlias = tuple[Iterator[str], Callable[[], int]]


def has_rows(path: pathlib.Path) -> bool:
    """Returns whether the ending of a file is that of a format with rows."""
    return _ending(path) in (*JSON_LINES, PARQUET)


def refuse_format(path: pathlib.Path) -> None:
    """Raises `ValueError` if the file ending is that of another format."""
    ending = _ending(path)
    advice = OTHER_FORMATS.get(ending) or OTHER_FORMATS.get(path.suffix.lower())
    if ending == PARQUET and path.suffix.lower() != PARQUET:
        advice = DECOMPRESS
    if advice:
        raise ValueError(
            "Expected text, .jsonl or .parquet files, not a file that ends in "
            f"{path.suffix}. {advice} Received: files={str(path)!r}"
        )


def check_rows(path: pathlib.Path, column: str) -> None:
    """Raises an error if the file or its first row cannot be read."""
    with opened_rows(path, column) as (rows, _):
        next(rows, None)


@contextlib.contextmanager
def opened_rows(path: pathlib.Path, column: str) -> Iterator[Rows]:
    """Opens a file; yields its texts, and a function to the read position.

    Raises:
        ValueError: if the column is missing or not text, or the file is
            damaged.
        ImportError: if a Parquet file needs pyarrow, which is not installed.
    """
    if _ending(path) == PARQUET:
        with _opened_parquet(path, column) as rows:
            yield rows
        return
    with opened(path) as (text, file):
        yield _json_rows(path, text, column), file.tell


def _ending(path: pathlib.Path) -> str:
    """Returns the last suffix of a name, apart from that of a compression."""
    name = path.name.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return pathlib.PurePath(name).suffix


def _json_rows(
    path: pathlib.Path, text: IO[bytes], column: str
) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_ROW):
        number += 1
        where = f"line {number} of {str(path)!r}"
        if len(line) == LONGEST_ROW:
            raise ValueError(
                f"Expected rows of less than {LONGEST_ROW} bytes. "
                f"Received: {where}"
            )
        if not line.strip():
            continue
        try:
            # Invalid bytes are counted and left out as in other text.
            row = json.loads(line.decode("utf-8-sig", "surrogateescape"))
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"Expected a JSON object in each line, but: {error}. "
                f"Received: {line[:40]!r} in {where}"
            ) from error
        if not isinstance(row, dict):
            raise ValueError(
                "Expected a JSON object in each line. "
                f"Received: {line[:40]!r} in {where}"
            )
        if column not in row:
            raise _missing_column(column, [*row], where)
        value = row[column]
        if value is None:
            continue
        if not isinstance(value, str):
            raise ValueError(
                f"Expected text in the column {column!r}. "
                f"Received: {value!r:.40} in {where}"
            )
        yield value


@contextlib.contextmanager
def _opened_parquet(path: pathlib.Path, column: str) -> Iterator[Rows]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Reading Parquet files needs pyarrow: `pip install pyarrow`. "
            f"Received: files={str(path)!r}"
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise _missing_column(column, names, repr(str(path)))
            kind = file.schema_arrow.field(column).type
            if not _is_text(pyarrow.types, kind):
                raise ValueError(
                    f"Expected text in the column {column!r}. "
                    f"Received: type {kind} in {str(path)!r}"
                )
            rows = _ParquetRows(file, column, path.stat().st_size)
            yield iter(rows), rows.position
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(
            f"Expected a complete Parquet file, but: {error} "
            f"Received: files={str(path)!r}"
        ) from error


class _ParquetRows:
    """The texts of a Parquet file, which counts those that were read."""

    def __init__(self, file: Any, column: str, size: int) -> None:
        self._file = file
        self._column = column
        self._size = size
        self._read = 0

    def __iter__(self) -> Iterator[str]:
        for batch in self._file.iter_batches(
            ROWS_PER_BATCH, columns=[self._column], use_threads=False
        ):
            for value in batch.column(0).to_pylist():
                self._read += 1
                if value is not None:
                    yield value

    def position(self) -> int:
        rows = self._file.metadata.num_rows
        return self._size * self._read // max(1, int(rows))


def _is_text(types: Any, kind: Any) -> bool:
    if types.is_dictionary(kind):
        kind = kind.value_type
    return str(kind) in ("string", "large_string", "string_view")


def _missing_column(column: str, names: list[str], where: str) -> ValueError:
    return ValueError(
        f"Expected the column {column!r}. To read another one, pass "
        f"`column=`. Received: columns {names} in {where}"
    )
