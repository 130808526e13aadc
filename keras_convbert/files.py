"""Writes files and folders atomically.

Each is written under a temporary name in the same folder, and then renamed. A
crash leaves the old file or folder unchanged.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator

from keras_convbert.full_disk import full_disk_errors

AnyPath = str | os.PathLike[str]


def write_text(path: AnyPath, text: str) -> None:
    """Writes a text file in UTF-8."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def hash_file(path: AnyPath) -> str:
    """Returns the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_file(path: AnyPath) -> Iterator[pathlib.Path]:
    """Yields a temporary path to write to, and renames it to `path`."""
    target = pathlib.Path(path)
    handle, name = tempfile.mkstemp(
        prefix=f".{target.name}.",
        suffix="".join(target.suffixes),
        dir=target.parent,
    )
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        with full_disk_errors(target):
            yield temporary
        _flush(temporary)
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, target)
        _flush(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(
    path: AnyPath, overwrite: bool = False
) -> Iterator[pathlib.Path]:
    """Yields a temporary folder to fill, and renames it to `path`.

    Raises:
        FileExistsError: if `path` exists, unless it is an empty folder or
            `overwrite` is true. It is raised before the folder is filled.
    """
    target = pathlib.Path(os.path.realpath(path))
    if not overwrite:
        _refuse_occupied(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
    )
    try:
        with full_disk_errors(target):
            yield temporary
        for entry in [temporary, *temporary.rglob("*")]:
            _flush(entry)
        temporary.chmod(0o777 & ~_umask())
        if not overwrite:
            # Another process may have written there in the meantime.
            _refuse_occupied(target)
        _move_folder(temporary, target)
        _flush(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def merge_into_folder(
    path: AnyPath, key: str, stale: Iterable[str] = ()
) -> Iterator[pathlib.Path]:
    """Yields a temporary folder to fill, and moves its files into `path`.

    Other files in `path` stay. Nested calls for a folder that is being filled
    yield that folder.

    Args:
        path: path of the folder, which may exist.
        key: string. Name of the file without which readers refuse the folder.
            It is removed first and moved last, so that after a crash readers
            refuse a mixture of old and new files.
        stale: iterable of strings. Glob patterns of files in `path` to
            remove. Defaults to `()`.

    Raises:
        FileExistsError: if `path` is not a folder.
    """
    target = pathlib.Path(os.path.realpath(path))
    if target in _BEING_FILLED:
        yield target
        return
    if target.exists() and not target.is_dir():
        raise FileExistsError(
            f"Expected the path of a folder. Received: {str(target)!r}"
        )
    made = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=".new.", dir=target))
    _BEING_FILLED.add(temporary)
    try:
        with full_disk_errors(target):
            yield temporary
        files = [entry for entry in temporary.rglob("*") if entry.is_file()]
        for file in files:
            _flush(file)
        (target / key).unlink(missing_ok=True)
        _flush(target)
        for pattern in stale:
            for old in target.glob(pattern):
                old.unlink()
        for file in sorted(files, key=lambda file: file.name == key):
            new = target / file.relative_to(temporary)
            new.parent.mkdir(parents=True, exist_ok=True)
            file.chmod(0o666 & ~_umask())
            os.replace(file, new)
            _flush(new.parent)
    finally:
        _BEING_FILLED.discard(temporary)
        shutil.rmtree(temporary, ignore_errors=True)
        if made and not any(target.iterdir()):
            target.rmdir()


_BEING_FILLED: set[pathlib.Path] = set()


def _refuse_occupied(target: pathlib.Path) -> None:
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(
            f"Expected a path where nothing is yet. Received: {str(target)!r}"
        )


def _move_folder(temporary: pathlib.Path, target: pathlib.Path) -> None:
    if not target.exists():
        os.replace(temporary, target)
        return
    # A folder cannot be renamed to an existing one, so move that aside first.
    aside = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent)
    )
    os.replace(target, aside / target.name)
    try:
        os.replace(temporary, target)
    except BaseException:
        os.replace(aside / target.name, target)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _flush(path: pathlib.Path) -> None:
    """Flushes a file, or the entries of a folder, to disk."""
    if os.name == "nt":
        # Windows cannot flush folders, and needs write access to files.
        if path.is_file():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some network file systems cannot flush folders.
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
