"""Writes files and folders atomically.

Each is written under a temporary name in the same folder, and then renamed. A
crash leaves the old file or folder unchanged. Writers of the same path exclude
each other by a lock, so the next one can remove what a killed one has left.
"""

import contextlib
import glob
import hashlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator

from keras_convbert.full_disk import full_disk_errors
from keras_convbert.locks import WriteLock

AnyPath = str | os.PathLike[str]

# Names of temporary files and folders: `.<name>.tmp-<random>`, and
# `.<name>.old-<random>` for a folder that holds the one being replaced.
NEW = ".tmp-"
OLD = ".old-"
# A temporary folder in the folder that its files move to has this name.
MERGED = "merge"
# Seconds to wait for another process that writes the same file.
WAIT = 600.0


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
    """Yields a temporary path to write to, and renames it to `path`.

    It waits for another writer of the same file.
    """
    target = pathlib.Path(path)
    with _only_writer(target, target.parent, target.name, WAIT):
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}{NEW}",
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
        BlockingIOError: if another writer fills a folder for `path`.
    """
    target = pathlib.Path(os.path.realpath(path))
    if not overwrite:
        _refuse_occupied(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _only_writer(target, target.parent, target.name):
        if not overwrite:
            # A killed writer may have left it aside.
            _refuse_occupied(target)
        temporary = pathlib.Path(
            tempfile.mkdtemp(prefix=f".{target.name}{NEW}", dir=target.parent)
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
    try:
        with _only_writer(target, target, MERGED, WAIT):
            with _temporary_folder(target) as temporary:
                with full_disk_errors(target):
                    yield temporary
                _merge(temporary, target, key, stale)
    finally:
        if made and not any(target.iterdir()):
            target.rmdir()


def remove_leftovers(path: AnyPath) -> None:
    """Removes what killed writers of a file or folder have left beside it.

    A folder that a writer was replacing, and that is missing now, moves back.

    Raises:
        BlockingIOError: if another writer writes to `path`.
    """
    target = pathlib.Path(path)
    with _only_writer(target, target.parent, target.name):
        pass


@contextlib.contextmanager
def _temporary_folder(target: pathlib.Path) -> Iterator[pathlib.Path]:
    temporary = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{MERGED}{NEW}", dir=target)
    )
    _BEING_FILLED.add(temporary)
    try:
        yield temporary
    finally:
        _BEING_FILLED.discard(temporary)
        shutil.rmtree(temporary, ignore_errors=True)


def _merge(
    temporary: pathlib.Path,
    target: pathlib.Path,
    key: str,
    stale: Iterable[str],
) -> None:
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


@contextlib.contextmanager
def _only_writer(
    target: pathlib.Path, folder: pathlib.Path, name: str, wait: float = 0.0
) -> Iterator[None]:
    """Excludes other writers of a path, and removes what killed ones left.

    Args:
        target: the path.
        folder: the folder of the temporary files.
        name: string. The name that theirs are made of.
        wait: float. Seconds to wait for another writer. Defaults to `0.0`.
    """
    with WriteLock(target, folder / f".{name}.lock", wait) as lock:
        if lock.is_held:
            _remove_leftovers(folder, name)
        yield


def _remove_leftovers(folder: pathlib.Path, name: str) -> None:
    """Removes temporary files; a folder that was set aside moves back."""
    pattern = f".{glob.escape(name)}"
    for aside in folder.glob(f"{pattern}{OLD}*"):
        if (aside / name).exists() and not (folder / name).exists():
            os.replace(aside / name, folder / name)
        shutil.rmtree(aside, ignore_errors=True)
    for entry in folder.glob(f"{pattern}{NEW}*"):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


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
        tempfile.mkdtemp(prefix=f".{target.name}{OLD}", dir=target.parent)
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
