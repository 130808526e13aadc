"""Errors of a full disk, whatever library reports them."""

import contextlib
import errno
import os
import pathlib
import shutil
from collections.abc import Iterator

# What `errno` calls a disk, a quota, or a file of its largest size.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Some libraries do not say why they could not write. With less free space than
# this after the error, the disk was full.
FREE_BYTES = 2**16
FREE = "bytes are free"


@contextlib.contextmanager
def full_disk_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns errors of a full disk into an `OSError` that names `path`.

    Libraries bury "No space left on device" in errors of their own, or
    replace it by a general error.

    Args:
        path: path of the file or folder that is being written. Its folder
            exists.

    Raises:
        OSError: if the disk is full. Its `errno` is `ENOSPC`.
    """
    try:
        yield
    except Exception as error:
        target = pathlib.Path(os.path.abspath(path))
        if _names_another(error, target):
            raise
        folder = target if target.is_dir() else target.parent
        free = shutil.disk_usage(folder).free
        code = _code(error)
        if code is None and _is_write_error(error) and free < FREE_BYTES:
            code = errno.ENOSPC
        if code is None:
            raise
        message = f"{os.strerror(code)} ({free} {FREE})"
        raise OSError(code, message, os.fspath(path)) from error


def check_space(path: str | os.PathLike[str], size: int) -> None:
    """Raises `OSError` if a folder has no room for `size` bytes.

    HDF5 may end the process when the disk is full, so ask before it writes.

    Args:
        path: path of an existing folder, which the error names.
        size: int. About the number of bytes that will be written.
    """
    free = shutil.disk_usage(path).free
    if free < size:
        code = errno.ENOSPC
        message = f"{os.strerror(code)} ({free} {FREE}, {size} are needed)"
        raise OSError(code, message, os.fspath(path))


def _code(error: BaseException) -> int | None:
    """Returns the `errno` that an error has or mentions."""
    for code in FULL:
        if getattr(error, "errno", None) == code:
            return code
        if os.strerror(code) in str(error):
            return code
    return None


def _names_another(error: Exception, target: pathlib.Path) -> bool:
    """Returns whether an inner call has named its own path already.

    A path in a hidden folder beside or in `target` is a part of it.
    """
    if not isinstance(error, OSError) or FREE not in str(error):
        return False
    named = pathlib.Path(os.path.abspath(error.filename))
    if not named.is_relative_to(target.parent):
        return True
    parents = named.relative_to(target.parent).parts[:-1]
    return not any(part.startswith(".") for part in parents)


def _is_write_error(error: Exception) -> bool:
    """Returns whether an error may be that of a write."""
    if isinstance(error, OSError):
        return error.errno is None
    return isinstance(error, RuntimeError)
