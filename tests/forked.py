"""Forked processes that hold something, or die while they do something."""

import contextlib
import os
import signal
import traceback
import warnings


def fork():
    """Forks; the child uses nothing that has threads."""
    with warnings.catch_warnings(action="ignore"):
        return os.fork()


@contextlib.contextmanager
def holding(function):
    """A process that has run a function and then does nothing; its number.

    It is killed in the end. What the function returns is kept until then.
    """
    reading, writing = os.pipe()
    process = fork()
    if not process:
        try:
            kept = function()
            os.write(writing, b".")
            while kept is not ...:
                signal.pause()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b".", "the function failed"
        yield process
    finally:
        os.close(reading)
        kill(process)


def kill(process):
    """Kills a child, if it is not dead yet, and waits for its end."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def run_until_killed(function):
    """Runs a function that kills its process."""
    process = fork()
    if not process:
        try:
            function()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def kill_this_process(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
