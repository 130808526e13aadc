"""Locks that keep two processes from writing to the same path."""

import contextlib
import errno
import json
import os
import pathlib
import socket
import warnings
import weakref
from types import TracebackType
from typing import Any

# Seconds. Another process may hold a lock for an instant, to try it.
LEAST_WAIT = 0.1
POLL_INTERVAL = 0.02
# What file systems without locks answer.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


class WriteLock:
    """The exclusive right to write to a path, for one holder at a time.

    The operating system holds the lock on a file, and releases it when the
    process dies. A process that was forked from the holder does not hold it.
    While the lock is held, a second file names the holder. Both files are
    removed with the lock; those of a killed process stay until the next one
    releases the lock.

    On a file system without locks `acquire` warns and returns.

    Args:
        target: path that is written to, for messages.
        file: path of the file to lock. Its folder must exist.
        wait: float. Seconds to wait for another holder. Defaults to `0.0`.
    """

    def __init__(
        self, target: pathlib.Path, file: pathlib.Path, wait: float = 0.0
    ) -> None:
        self._target = os.fspath(target)
        self._file = file
        self._owner = self._file.with_name(f"{self._file.name}.owner")
        self._wait = max(wait, LEAST_WAIT)
        self._release: Any = None

    def acquire(self) -> None:
        """Acquires the lock, unless this object holds it.

        Raises:
            BlockingIOError: if another holder keeps it. The message names the
                process.
            FileNotFoundError: if the folder of the lock is missing.
        """
        if self.is_held:
            return
        if not self._file.parent.is_dir():
            raise FileNotFoundError(
                errno.ENOENT, "No such folder", os.fspath(self._file.parent)
            )
        # Importing it takes long, and worker processes do not need it.
        import filelock

        lock = filelock.FileLock(
            self._file,
            timeout=self._wait,
            poll_interval=POLL_INTERVAL,
            thread_local=False,
            fallback_to_soft=False,
        )
        try:
            lock.acquire()
        except filelock.Timeout:
            raise BlockingIOError(
                "Expected a path to which nothing else writes. "
                f"{self._describe_owner()} writes there now: wait until it "
                f"ends, or use another path. Received: path={self._target!r}"
            ) from None
        except (OSError, NotImplementedError) as error:
            if getattr(error, "errno", errno.ENOSYS) not in NO_LOCKS:
                raise
            self._file.unlink(missing_ok=True)
            warnings.warn(
                f"The file system of {self._target!r} has no locks ({error}). "
                "Make sure that no other process writes there.",
                stacklevel=2,
            )
            return
        self._release = weakref.finalize(
            self, _release, lock, self._file, self._owner, os.getpid()
        )
        owner = {"pid": os.getpid(), "host": socket.gethostname()}
        with contextlib.suppress(OSError):  # It is for messages alone.
            self._owner.write_text(json.dumps(owner), encoding="utf-8")

    def release(self) -> None:
        """Releases the lock, if this object holds it."""
        if self._release is not None:
            self._release()

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._release is not None and self._release.alive

    def __enter__(self) -> "WriteLock":
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _describe_owner(self) -> str:
        try:
            owner = json.loads(self._owner.read_text(encoding="utf-8"))
            pid, host = int(owner["pid"]), str(owner["host"])
        except (OSError, ValueError, KeyError, TypeError):
            return "Another process"
        if host != socket.gethostname():
            return f"Process {pid} on the host {host!r}"
        if pid == os.getpid():
            return f"This process ({pid})"
        if not _exists(pid):
            return f"A process that process {pid} (which has ended) started"
        return f"Process {pid}"


def _exists(pid: int) -> bool:
    if os.name == "nt":
        # Windows has no signal that does nothing.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _release(
    lock: Any, file: pathlib.Path, owner: pathlib.Path, pid: int
) -> None:
    if os.getpid() != pid:
        # A forked process has a copy of the object, but not the lock.
        return
    with contextlib.suppress(OSError):
        owner.unlink(missing_ok=True)
        if os.name != "nt":
            # Before the release: later the file may be that of another holder.
            # On Windows `filelock` removes it.
            file.unlink(missing_ok=True)
    lock.release()
