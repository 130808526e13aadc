"""A file or a folder that is written whole or not at all.

Both are written under a temporary name beside their place and then moved
there, so that a crash leaves what was there before.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable
from collections.abc import Iterator

AnyPath = str | os.PathLike[str]


def write_text(path: AnyPath, text: str) -> None:
    """Writes a text file in UTF-8."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def hash_file(path: AnyPath) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_file(path: AnyPath) -> Iterator[pathlib.Path]:
    """Gives a temporary path to write; moves it to `path` in the end."""
    target = pathlib.Path(path)
    handle, name = tempfile.mkstemp(
        prefix=f".{target.name}.",
        suffix="".join(target.suffixes),
        dir=target.parent,
    )
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
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
    """Gives a temporary folder to fill; moves it to `path` in the end.

    Raises:
        FileExistsError: if something is at `path`, unless it is an empty
            folder or `overwrite` is true. It is raised before the work.
    """
    target = pathlib.Path(os.path.realpath(path))
    if not overwrite:
        _refuse_occupied(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(
        tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)
    )
    try:
        yield temporary
        for entry in [temporary, *temporary.rglob("*")]:
            _flush(entry)
        temporary.chmod(0o777 & ~_umask())
        if not overwrite:
            # Another may have written there in the meantime.
            _refuse_occupied(target)
        _move_folder(temporary, target)
        _flush(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def merge_into_folder(
    path: AnyPath, key: str, stale: Iterable[str] = ()
) -> Iterator[pathlib.Path]:
    """Gives a temporary folder to fill; moves its files into `path` in the end.

    What is there already and has no new namesake stays. Inside of one such
    folder, another of the same path is the same.

    Args:
        path: path of the folder, which may exist.
        key: string. The file without which a reader refuses the folder: it
            goes before any other changes, and comes last, so that a crash
            leaves no mixture of old and new that passes for whole.
        stale: patterns of names in `path` that go. Defaults to `()`.

    Raises:
        FileExistsError: if `path` is no folder.
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
            place = target / file.relative_to(temporary)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.chmod(0o666 & ~_umask())
            os.replace(file, place)
            _flush(place.parent)
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
    # A folder cannot be moved onto another: the old one steps aside first.
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
    """Has a file, or the entries of a folder, written to the disk."""
    if os.name == "nt":
        # Windows has no such call for folders, and wants write access.
        if path.is_file():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some network file systems cannot do it for folders.
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
