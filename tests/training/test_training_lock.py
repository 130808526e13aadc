"""Two trainings that want one folder."""

import gc
import os
import threading
import warnings

import keras
import pytest

from keras_convbert.locks import WriteLock
from keras_convbert.training import BackupAndResume
from tests import forked
from tests.training import small_runs
from tests.training.small_runs import Before
from tests.training.small_runs import Stopped
from tests.training.small_runs import crash


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def train(folder, extra=(), backup=None):
    net = small_runs.model()
    backup = backup or BackupAndResume(folder)
    net.fit(
        *(small_runs.Batches(),),
        callbacks=[*extra, backup],
        epochs=1,
        verbose=0,
    )


def test_folder_of_another_process_is_refused_before_anything_is_written(
    tmp_path,
):
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / ".step-0000000004.tmp-abcdefgh").mkdir()
    log = tmp_path / "log.csv"
    log.write_text("of the other run")

    def hold():
        lock = WriteLock(folder, folder / ".lock")
        lock.acquire()
        return lock

    with forked.holding(hold) as process:
        before = entries(folder)
        # It comes first, and would empty its file.
        logger = keras.callbacks.CSVLogger(log)
        message = f"Process {process} writes there now.*path='.*backup'"
        with pytest.raises(BlockingIOError, match=message):
            train(folder, [logger])
        assert log.read_text() == "of the other run"
        assert entries(folder) == before
    train(folder)
    assert entries(folder) == ["step-0000000004", "step-0000000004-finished"]


def test_one_process_trains_once_at_a_time(tmp_path):
    with pytest.raises(BlockingIOError, match="This process"):
        train(tmp_path, [BackupAndResume(tmp_path)])
    # The error above still has the frames of `fit`, which runs no more.
    refused = []

    def train_in_a_thread():
        try:
            train(tmp_path)
        except BlockingIOError as error:
            refused.append(error)

    def begin_another():
        thread = threading.Thread(target=train_in_a_thread)
        thread.start()
        thread.join()

    train(tmp_path, [Before(1, begin_another)])
    assert "This process" in str(refused[0])
    assert entries(tmp_path) == ["step-0000000004", "step-0000000004-finished"]


@pytest.mark.parametrize("same", [True, False], ids=["same", "new"])
def test_folder_is_free_after_an_error(same, tmp_path):
    backup = BackupAndResume(tmp_path)
    with pytest.raises(Stopped) as kept:
        train(tmp_path, [Before(1, crash)], backup)
    train(tmp_path, backup=backup if same else None)
    assert kept.value
    assert entries(tmp_path) == ["step-0000000004", "step-0000000004-finished"]


@pytest.mark.once
def test_deleted_callback_frees_the_folder(tmp_path):
    with pytest.raises(Stopped):
        train(tmp_path, [Before(1, crash)])
    gc.collect()
    assert entries(tmp_path) == []


@pytest.mark.once
@pytest.mark.parametrize("place", ["restore", "save", "signal"])
def test_folder_is_free_after_the_end_that_the_callback_causes(
    place, tmp_path, monkeypatch
):
    backup = BackupAndResume(tmp_path, save_freq=1)
    extra = []
    if place == "restore":
        (tmp_path / "step-0000000001").mkdir()
    elif place == "save":
        monkeypatch.setattr(backup._folder, "save", lambda *args: crash())
    else:
        extra = [Before(1, lambda: os.kill(os.getpid(), 15))]
    with warnings.catch_warnings(action="ignore"):
        with pytest.raises((ValueError, Stopped, SystemExit)) as kept:
            train(tmp_path, extra, backup)
    assert kept.value
    assert not [*tmp_path.glob(".*")]
