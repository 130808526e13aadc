import errno
import fcntl
import json
import os
import time

import pytest

from keras_convbert.locks import WriteLock
from tests import forked

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


@pytest.fixture
def new_lock(tmp_path):
    return lambda wait=0.0: WriteLock(
        tmp_path / "target", tmp_path / ".lock", wait
    )


def acquired(lock):
    lock.acquire()
    return lock


def test_two_holders_in_one_process_exclude_each_other(new_lock, tmp_path):
    first = acquired(new_lock())
    message = rf"nothing else writes. This process \({os.getpid()}\) writes"
    with pytest.raises(BlockingIOError, match=f"{message}.*path='.*target'"):
        new_lock().acquire()
    first.acquire()  # It has it.
    first.release()
    with new_lock() as second:
        assert second.is_held
        assert not first.is_held
        first.release()  # It has it no more.
        with pytest.raises(BlockingIOError):
            new_lock().acquire()
    assert not [*tmp_path.iterdir()]


def test_error_names_the_process_that_holds_it_until_that_is_killed(
    new_lock, tmp_path
):
    with forked.holding(lambda: acquired(new_lock())) as process:
        with pytest.raises(BlockingIOError, match=f"Process {process} writes"):
            new_lock().acquire()
        forked.kill(process)
        with new_lock():
            owner = json.loads((tmp_path / ".lock.owner").read_text())
            assert owner["pid"] == os.getpid()
    assert not [*tmp_path.iterdir()]


def test_child_of_the_holder_does_not_keep_it(new_lock, tmp_path):
    def hold():
        lock = acquired(new_lock())
        process = os.fork()
        if not process:
            time.sleep(20)
            os._exit(0)
        (tmp_path / "child").write_text(str(process))
        return lock

    with forked.holding(hold) as process:
        forked.kill(process)
        child = int((tmp_path / "child").read_text())
        try:
            os.kill(child, 0)
            new_lock().acquire()
        finally:
            os.kill(child, 9)


def test_end_of_a_child_does_not_release_it(new_lock, tmp_path):
    lock = acquired(new_lock())
    process = os.fork()
    if not process:
        lock.release()
        os._exit(0)
    os.waitpid(process, 0)
    assert (tmp_path / ".lock.owner").exists()
    with forked.holding(lambda: None):
        with pytest.raises(BlockingIOError, match="This process"):
            new_lock().acquire()


def test_deleted_lock_is_released(new_lock, tmp_path):
    lock = acquired(new_lock())
    del lock
    assert not [*tmp_path.iterdir()]
    new_lock().acquire()


def test_waits_for_another_holder(new_lock):
    with forked.holding(lambda: acquired(new_lock())) as process:
        waiting = new_lock(wait=20.0)
        killer = os.fork()
        if not killer:
            time.sleep(0.3)
            os.kill(process, 9)
            os._exit(0)
        began = time.monotonic()
        waiting.acquire()
        assert 0.2 < time.monotonic() - began < 10
        os.waitpid(killer, 0)


@pytest.mark.parametrize(
    ("owner", "message"),
    [
        ({"pid": 7, "host": "elsewhere"}, "Process 7 on the host 'elsewhere'"),
        ({"pid": 2**22 + 1}, "A process that process 4194305 .*has ended"),
        ({}, "Another process"),
        (None, "Another process"),
    ],
    ids=["other-host", "dead", "damaged", "missing"],
)
def test_what_the_error_says_of_the_holder(new_lock, tmp_path, owner, message):
    with new_lock():
        file = tmp_path / ".lock.owner"
        known = json.loads(file.read_text())
        file.unlink()
        if owner is not None:
            file.write_text(json.dumps({**known, **owner} if owner else owner))
        with pytest.raises(BlockingIOError, match=f"{message}.* writes there"):
            new_lock().acquire()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_file_system_without_locks_is_said(
    new_lock, tmp_path, monkeypatch, number
):
    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="target' has no locks.*Make sure"):
        with new_lock() as lock:
            assert not lock.is_held
    assert not [*tmp_path.iterdir()]


def test_other_errors_of_the_file_system_are_raised(tmp_path):
    with pytest.raises(FileNotFoundError):
        WriteLock(tmp_path, tmp_path / "missing" / ".lock").acquire()
    assert not [*tmp_path.iterdir()]
