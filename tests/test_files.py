import os
import pathlib
import stat

import pytest

from keras_convbert.files import atomic_file
from keras_convbert.files import atomic_folder
from keras_convbert.files import write_text

pytestmark = pytest.mark.once


class Crash(Exception):
    pass


@pytest.fixture
def umask():
    old = os.umask(0o027)
    yield
    os.umask(old)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder):
    """Every file below a folder, hidden ones too, with what is in it."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_text_is_written_in_utf8_with_lf(tmp_path):
    write_text(tmp_path / "file.txt", "é\n電\n")
    assert (tmp_path / "file.txt").read_bytes() == "é\n電\n".encode()


@pytest.mark.parametrize("old", [None, "old"], ids=["new", "replaced"])
def test_file_appears_in_the_end_with_usual_permissions(tmp_path, umask, old):
    path = tmp_path / "file.txt"
    if old:
        path.write_text(old)
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert (path.read_text() if path.exists() else None) == old
    assert contents(tmp_path) == {"file.txt": "new"}
    assert mode(path) == 0o640


def test_content_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    """Else a power failure leaves the new name on an empty file."""
    path, flushed = tmp_path / "file.txt", []

    def spy(descriptor):
        kind = (
            "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        )
        flushed.append((kind, path.exists()))

    monkeypatch.setattr(os, "fsync", spy)
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert flushed == [("file", False), ("folder", True)]


@pytest.mark.parametrize("old", [None, "old"], ids=["new", "replaced"])
def test_crash_leaves_the_file_that_was_there(tmp_path, old):
    path = tmp_path / "file.txt"
    if old:
        path.write_text(old)
    before = contents(tmp_path)
    with pytest.raises(Crash), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise Crash
    assert contents(tmp_path) == before


@pytest.mark.parametrize("empty", [False, True], ids=["absent", "empty"])
def test_folder_appears_in_the_end_with_usual_permissions(
    tmp_path, umask, empty
):
    path = tmp_path / "a" / "folder"
    if empty:
        path.mkdir(parents=True)
    with atomic_folder(path) as temporary:
        (temporary / "part").mkdir()
        (temporary / "part" / "file.txt").write_text("new")
        assert not path.exists() or not any(path.iterdir())
    assert contents(tmp_path) == {"a/folder/part/file.txt": "new"}
    assert mode(path) == 0o750


@pytest.mark.parametrize("overwrite", [False, True], ids=["new", "replaced"])
def test_crash_leaves_the_folder_that_was_there(tmp_path, overwrite):
    path = tmp_path / "folder"
    if overwrite:
        path.mkdir()
        (path / "file.txt").write_text("old")
    before = contents(tmp_path)
    with pytest.raises(Crash), atomic_folder(path, overwrite) as temporary:
        (temporary / "file.txt").write_text("half")
        raise Crash
    assert contents(tmp_path) == before
    assert path.exists() == overwrite


def test_overwriting_replaces_all_of_a_folder(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old.txt").write_text("old")
    with atomic_folder(path, overwrite=True) as temporary:
        (temporary / "new.txt").write_text("new")
    assert contents(tmp_path) == {"folder/new.txt": "new"}


def test_failing_move_puts_the_old_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "file.txt").write_text("old")
    replace = os.replace

    def fail_for_the_new(source, target):
        if (pathlib.Path(source) / "new.txt").exists():
            raise Crash
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_for_the_new)
    with (
        pytest.raises(Crash),
        atomic_folder(path, overwrite=True) as temporary,
    ):
        (temporary / "new.txt").write_text("new")
    assert contents(tmp_path) == {"folder/file.txt": "old"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_occupied_path_is_refused_before_the_work(tmp_path, kind):
    path = tmp_path / "taken"
    if kind == "folder":
        path.mkdir()
        (path / "file.txt").write_text("old")
    else:
        path.write_text("old")
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match=r"where nothing is yet.*taken"):
        with atomic_folder(path):
            pytest.fail("the work was begun")
    assert contents(tmp_path) == before


def test_what_another_wrote_in_the_meantime_is_kept(tmp_path):
    path = tmp_path / "folder"
    with pytest.raises(FileExistsError, match="where nothing is yet"):
        with atomic_folder(path):
            path.mkdir()
            (path / "file.txt").write_text("another's")
    assert contents(tmp_path) == {"folder/file.txt": "another's"}


def test_link_to_an_empty_folder_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    with atomic_folder(tmp_path / "link") as temporary:
        (temporary / "file.txt").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "file.txt").read_text() == "new"
