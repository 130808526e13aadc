"""Reads files of text as one stream of documents, in bounded memory."""

import contextlib
import io
import os
import pathlib
import warnings
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import NamedTuple
from typing import TypeAlias

from keras_convbert.data.row_files import check_rows
from keras_convbert.data.row_files import has_rows
from keras_convbert.data.row_files import opened_rows
from keras_convbert.data.row_files import refuse_format
from keras_convbert.data.text_files import check_encoding
from keras_convbert.data.text_files import opened
from keras_convbert.data.text_files import read_lines
from keras_convbert.files import AnyPath

Files: TypeAlias = AnyPath | Iterable[AnyPath]

# Limits in bytes. Longer documents are cut at a line.
LONGEST_PART = 1 << 20
CHUNK_SIZE = 1 << 19


class Chunk(NamedTuple):
    """Successive parts of documents.

    A part is a document, or a piece of a long document: lines, none of them
    blank, separated by LF. Parts are numbered over the whole corpus; `first`
    is the number of the first part of the chunk.
    """

    first: int
    parts: list[bytes]


class Corpus:
    """The documents of text, JSON Lines and Parquet files.

    A line is a sentence or a paragraph. In a text file, a blank line ends a
    document, and so does the end of the file. In a file that ends in `.jsonl`
    or `.parquet`, each row is a document. The first bytes of a text or JSON
    Lines file tell whether gzip, xz or zstd compressed it.

    Args:
        files: a path, or an iterable of paths.
        column: string. The column of JSON Lines and Parquet files with the
            text. Defaults to `"text"`.
        errors: string. `"warn"`, or `"replace"` to accept files of which most
            lines are not UTF-8. Defaults to `"warn"`.

    Raises:
        ValueError: if there are no files, or one is a folder, is not text, or
            has no such column.
        FileNotFoundError: if a file is missing.
        ImportError: if a Parquet or zstd file needs pyarrow, which is not
            installed.
    """

    def __init__(
        self, files: Files, column: str = "text", errors: str = "warn"
    ) -> None:
        if errors not in ("warn", "replace"):
            raise ValueError(
                "Expected `errors` to be 'warn' or 'replace'. "
                f"Received: errors={errors!r}"
            )
        self.column = column
        self.errors = errors
        self.paths = _check(files, column, errors)
        self.size = sum(path.stat().st_size for path in self.paths)
        self.documents = 0

    def chunks(
        self, show: Callable[[int], None], scale: int = 1
    ) -> Iterator[Chunk]:
        """Reads the files once, in order.

        Args:
            show: function that is called with the number of bytes read so far,
                of `size`.
            scale: int. Size of the chunks, as a multiple of the usual size.
                Defaults to `1`.
        """
        self.documents = 0
        parts: list[bytes] = []
        first = size = done = 0
        for path in self.paths:
            with _opened_lines(path, self.column) as (lines, position):
                for starts, part in _parts(lines):
                    self.documents += starts
                    parts.append(part)
                    size += len(part)
                    if size >= scale * CHUNK_SIZE:
                        yield Chunk(first, parts)
                        first += len(parts)
                        parts, size = [], 0
                        show(done + position())
            done += path.stat().st_size
        if parts:
            yield Chunk(first, parts)
        show(self.size)

    def report_bad_lines(self, bad: int, lines: int) -> None:
        """Warns of lines that are not UTF-8.

        Args:
            bad: int. Their number.
            lines: int. The number of all lines.

        Raises:
            ValueError: if they are most of the lines, unless `errors` is
                `"replace"`.
        """
        if 2 * bad > lines and self.errors != "replace":
            raise ValueError(
                "Expected UTF-8 text. To leave out invalid bytes, set "
                f'`errors="replace"`. Received: {bad} of {lines} lines that '
                f"are not UTF-8 in files={[str(path) for path in self.paths]}"
            )
        if bad:
            warnings.warn(
                f"{bad} of {lines} lines have invalid UTF-8; the invalid "
                "bytes were left out.",
                stacklevel=3,
            )


def _check(files: Files, column: str, errors: str) -> list[pathlib.Path]:
    if isinstance(files, str | os.PathLike):
        files = [files]
    if not isinstance(column, str):
        raise ValueError(
            "Expected `column` to be the name of a column. "
            f"Received: column={column!r}"
        )
    paths = [pathlib.Path(file) for file in files]
    if not paths:
        raise ValueError("Expected at least one text file. Received: files=[]")
    for path in paths:
        if path.is_dir():
            raise ValueError(
                "Expected paths of text files, not of a folder. "
                f"Received: files={str(path)!r}"
            )
        if not path.exists():
            raise FileNotFoundError(
                f"Cannot find a text file. Received: files={str(path)!r}"
            )
        refuse_format(path)
        if has_rows(path):
            check_rows(path, column)
            continue
        with opened(path):
            if errors != "replace":
                check_encoding(path)
    return paths


@contextlib.contextmanager
def _opened_lines(
    path: pathlib.Path, column: str
) -> Iterator[tuple[Iterator[bytes], Callable[[], int]]]:
    """Opens a file; yields its lines, and a function to the read position."""
    if has_rows(path):
        with opened_rows(path, column) as (rows, position):
            yield _lines_of_rows(rows), position
    else:
        with opened(path) as (text, file):
            yield read_lines(text), file.tell


def _lines_of_rows(rows: Iterator[str]) -> Iterator[bytes]:
    """Yields the lines of documents, and a blank line after each."""
    for row in rows:
        # Half a character, which JSON can escape, counts as invalid UTF-8.
        text = io.BytesIO(row.encode("utf-8", "surrogatepass"))
        yield from (line for line in read_lines(text) if line.strip())
        yield b""


def _parts(lines: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Yields parts of documents, and whether a document starts there."""
    pending: list[bytes] = []
    size = 0
    starts = True
    for line in lines:
        line = line.strip()
        if line:
            pending.append(line)
            size += len(line)
        if pending and (not line or size >= LONGEST_PART):
            yield starts, b"\n".join(pending)
            pending, size, starts = [], 0, False
        if not line:
            starts = True
    if pending:
        yield starts, b"\n".join(pending)
