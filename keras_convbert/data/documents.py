"""Text files read as one stream of documents, in bounded memory."""

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

# In bytes. What is longer is cut: a line at a space, a document at a line.
LONGEST_LINE = 1 << 20
LONGEST_PART = 1 << 20
CHUNK_SIZE = 1 << 19


class Chunk(NamedTuple):
    """Some parts of documents, one after the other.

    A part is a document, or a piece of one that is long: lines, none of them
    blank, with LF between them. Parts are numbered through the whole corpus;
    `first` is the number of the first one here.
    """

    first: int
    parts: list[bytes]


class Corpus:
    """The documents of text files.

    A line holds a sentence or a paragraph, a blank line ends a document, and
    so does the end of a file. Files compressed by gzip or xz are known by
    their first bytes.

    Args:
        files: a path, or several.

    Raises:
        ValueError: if there is no file, or one is a folder or no text.
        FileNotFoundError: if a file is missing.
    """

    def __init__(self, files: Files) -> None:
        self.paths = _check(files)
        self.size = sum(path.stat().st_size for path in self.paths)
        self.documents = 0

    def chunks(self, show: Callable[[int], None]) -> Iterator[Chunk]:
        """Reads the files once, in their order.

        Args:
            show: is told how many bytes of `size` have been read.
        """
        self.documents = 0
        parts: list[bytes] = []
        first = size = done = 0
        for path in self.paths:
            with _opened(path) as (text, file):
                for begins, part in _parts(_lines(text)):
                    self.documents += begins
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
                    "Expected text in UTF-8, plain or compressed by gzip or "
                    "xz, without bytes of zero, which UTF-16 and files of "
                    f"other kinds have. Received: files={str(path)!r}"
                )
    return paths


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The text in a file, and the file, which knows how far it was read."""
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
                f"Expected a compressed file that is whole, but: {e} "
                f"Received: files={str(path)!r}"
            ) from e


def _lines(text: IO[bytes]) -> Iterator[bytes]:
    """Lines; one that is very long comes in pieces."""
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
    """Where to cut: after the last space, or else between two characters."""
    if end := line.rfind(b" ") + 1:
        return end
    end = len(line) - 1
    while end > len(line) - 4 and line[end] & 0xC0 == 0x80:
        end -= 1
    return end


def _parts(lines: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Parts of documents, each with whether a document begins there."""
    held: list[bytes] = []
    size = 0
    begins = True
    for line in lines:
        line = line.strip()
        if line:
            held.append(line)
            size += len(line)
        if held and (not line or size >= LONGEST_PART):
            yield begins, b"\n".join(held)
            held, size, begins = [], 0, False
        if not line:
            begins = True
    if held:
        yield begins, b"\n".join(held)
