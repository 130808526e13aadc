"""Reads text files as one stream of documents, in bounded memory."""

import contextlib
import gzip
import io
import lzma
import os
import pathlib
import zlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import IO
from typing import NamedTuple
from typing import TypeAlias

from keras_convbert.files import AnyPath

Files: TypeAlias = AnyPath | Iterable[AnyPath]

# Limits in bytes. Longer lines are cut at a space, longer documents at a line.
LONGEST_LINE = 1 << 20
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
    """The documents of text files.

    A line is a sentence or a paragraph. A blank line ends a document, and so
    does the end of a file. The first bytes of a file tell whether gzip or xz
    compressed it.

    Args:
        files: a path, or an iterable of paths.

    Raises:
        ValueError: if there are no files, or one is a folder or is not text.
        FileNotFoundError: if a file is missing.
    """

    def __init__(self, files: Files) -> None:
        self.paths = _check(files)
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
            with _opened(path) as (text, file):
                for starts, part in _parts(_lines(text)):
                    self.documents += starts
                    parts.append(part)
                    size += len(part)
                    if size >= CHUNK_SIZE:
                        yield Chunk(first, parts)
                        first += len(parts)
                        parts, size = [], 0
                        show(done + file.tell())
                done += file.tell()
        if parts:
            yield Chunk(first, parts)
        show(self.size)


def _check(files: Files) -> list[pathlib.Path]:
    if isinstance(files, str | os.PathLike):
        files = [files]
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
        with _opened(path) as (text, _):
            if b"\0" in text.read(4096):
                raise ValueError(
                    "Expected UTF-8 text, plain or compressed by gzip or xz. "
                    "It has no zero bytes, unlike UTF-16 and binary files. "
                    f"Received: files={str(path)!r}"
                )
    return paths


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Opens a file; yields its text, and the file with the read position."""
    with open(path, "rb") as file:
        start = file.read(6)
        file.seek(0)
        text = file
        if start.startswith(b"\x1f\x8b"):
            text = io.BufferedReader(gzip.GzipFile(fileobj=file))
        elif start == b"\xfd7zXZ\0":
            text = io.BufferedReader(lzma.LZMAFile(file))
        try:
            yield text, file
        except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as e:
            raise ValueError(
                f"Expected a complete compressed file, but: {e} "
                f"Received: files={str(path)!r}"
            ) from e


def _lines(text: IO[bytes]) -> Iterator[bytes]:
    """Yields the lines, very long ones in pieces."""
    kept = b""
    while line := text.readline(LONGEST_LINE):
        unfinished = len(line) == LONGEST_LINE and not line.endswith(b"\n")
        line, kept = kept + line, b""
        if unfinished:
            end = _end_of_piece(line)
            line, kept = line[:end], line[end:]
        yield line
    if kept:
        yield kept


def _end_of_piece(line: bytes) -> int:
    """Returns where to cut: after the last space, else between characters."""
    if end := line.rfind(b" ") + 1:
        return end
    end = len(line) - 1
    while end > len(line) - 4 and line[end] & 0xC0 == 0x80:
        end -= 1
    return end


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
