"""Reads files of text as one stream of documents, in bounded memory."""

import contextlib
import io
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import NamedTuple
from typing import TypeAlias

from keras_convbert.data.row_files import check_rows
from keras_convbert.data.row_files import has_rows
from keras_convbert.data.row_files import opened_rows
from keras_convbert.data.row_files import refuse_format
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
    Lines file tell whether gzip or xz compressed it.

    Args:
        files: a path, or an iterable of paths.
        column: string. The column of JSON Lines and Parquet files with the
            text. Defaults to `"text"`.

    Raises:
        ValueError: if there are no files, or one is a folder, is not text, or
            has no such column.
        FileNotFoundError: if a file is missing.
        ImportError: if a Parquet file needs pyarrow, which is not installed.
    """

    def __init__(self, files: Files, column: str = "text") -> None:
        self.column = column
        self.paths = _check(files, column)
        self.size = sum(path.stat().st_size for path in self.paths)
        self.documents = 0

    def chunks(self, show: Callable[[int], None]) -> Iterator[Chunk]:
        """Reads the files once, in order.

        Args:
            show: function that is called with the number of bytes read so far,
                of `size`.
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
                    if size >= CHUNK_SIZE:
                        yield Chunk(first, parts)
                        first += len(parts)
                        parts, size = [], 0
                        show(done + position())
            done += path.stat().st_size
        if parts:
            yield Chunk(first, parts)
        show(self.size)


def _check(files: Files, column: str) -> list[pathlib.Path]:
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
        with opened(path) as (text, _):
            if b"\0" in text.read(4096):
                raise ValueError(
                    "Expected UTF-8 text, plain or compressed by gzip or xz. "
                    "It has no zero bytes, unlike UTF-16 and binary files. "
                    f"Received: files={str(path)!r}"
                )
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
