"""Reads plain and compressed files as lines, in bounded memory."""

import contextlib
import gzip
import importlib
import io
import lzma
import pathlib
import zlib
from collections.abc import Iterator
from typing import IO
from typing import Any

from keras_convbert.data.file_formats import format_name

# A limit in bytes. Longer lines are cut at a space.
LONGEST_LINE = 1 << 20
# Bytes from which line ends and encoding are known, before work begins.
HEAD = 1 << 20
# With the class `ZstdFile`: Python 3.14, and its copy for older versions.
ZSTD_MODULES = ("compression.zstd", "backports.zstd")
EXPECTED = (
    "Expected UTF-8 text, plain or compressed by gzip, xz or zstd. Convert "
    "other encodings, for example by `iconv --to-code UTF-8`."
)


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Opens a file; yields its text, and the file with the read position.

    Lines of the text end with LF or CR LF, also those that end with CR alone
    in the file.

    Raises:
        ValueError: if the first bytes are not those of text, or if a
            compressed file is damaged.
        ImportError: if a zstd file needs pyarrow, which is not installed.
    """
    head = read_head(path)
    found = format_name(head)
    if found is not None:
        raise ValueError(f"{EXPECTED} Received: files={str(path)!r}, {found}")
    with _decompressed(path) as (text, file):
        if b"\r" in head and b"\n" not in head:
            text = io.BufferedReader(_LineFeeds(text))
        yield text, file


def read_head(path: pathlib.Path) -> bytes:
    """Returns the first bytes of the text of a file, at most `HEAD`."""
    with _decompressed(path) as (text, _):
        return text.read(HEAD)


def check_encoding(path: pathlib.Path) -> None:
    """Raises `ValueError` if most lines of the first bytes are not UTF-8."""
    head = read_head(path)
    if len(head) == HEAD:
        # The last line may be cut, or the only line within a character.
        end = max(head.rfind(b"\n"), head.rfind(b"\r"))
        head = head[: end if 2 * end > HEAD else _end_of_piece(head)]
    lines = [line for line in head.splitlines() if line.strip()]
    bad = count_bad_lines(b"\n".join(lines))
    if 2 * bad > len(lines):
        raise ValueError(
            f"{EXPECTED} To leave out invalid bytes, set "
            f'`errors="replace"`. Received: files={str(path)!r}, in which '
            f"{bad} of the first {len(lines)} lines are not UTF-8"
        )


def count_bad_lines(text: bytes) -> int:
    """Returns the number of lines with invalid UTF-8."""
    return (
        0
        if _is_utf8(text)
        else sum(not _is_utf8(line) for line in text.split(b"\n"))
    )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@contextlib.contextmanager
def _decompressed(
    path: pathlib.Path,
) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    with open(path, "rb") as file:
        start = file.read(6)
        file.seek(0)
        text: IO[bytes] = file
        errors: tuple[type[Exception], ...] = (EOFError,)
        if start.startswith(b"\x1f\x8b"):
            text = io.BufferedReader(gzip.GzipFile(fileobj=file))
            errors = (EOFError, gzip.BadGzipFile, zlib.error)
        elif start == b"\xfd7zXZ\0":
            text = io.BufferedReader(lzma.LZMAFile(file))
            errors = (EOFError, lzma.LZMAError)
        elif start.startswith(b"\x28\xb5\x2f\xfd"):
            text, errors = _open_zstd(path, file)
        try:
            yield text, file
        except errors as error:
            raise ValueError(
                f"Expected a complete compressed file, but: {error} "
                f"Received: files={str(path)!r}"
            ) from error


def _open_zstd(
    path: pathlib.Path, file: IO[bytes]
) -> tuple[IO[bytes], tuple[type[Exception], ...]]:
    """Opens a zstd file; returns its text, and the errors of damaged ones."""
    raw: Any
    for name in ZSTD_MODULES:
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            raw = module.ZstdFile(file)
            return io.BufferedReader(raw), (EOFError, module.ZstdError)
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(
            "Reading zstd files needs pyarrow, or Python 3.14: "
            f"`pip install pyarrow`. Received: files={str(path)!r}"
        ) from error
    raw = pyarrow.CompressedInputStream(
        pyarrow.PythonFile(file, mode="r"), "zstd"
    )
    return io.BufferedReader(raw), (pyarrow.ArrowException, OSError)


class _LineFeeds(io.RawIOBase):
    """A text that ends its lines with LF instead of CR."""

    def __init__(self, text: IO[bytes]) -> None:
        super().__init__()
        self._text = text

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._text.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(data)] = data
        return len(data)


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
