"""Reads plain and compressed files as lines, in bounded memory."""

import contextlib
import gzip
import io
import lzma
import pathlib
import zlib
from collections.abc import Iterator
from typing import IO

# A limit in bytes. Longer lines are cut at a space.
LONGEST_LINE = 1 << 20


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
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


def read_lines(text: IO[bytes]) -> Iterator[bytes]:
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
