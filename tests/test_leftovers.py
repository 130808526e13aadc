"""Writers that are killed, and what the next one finds and leaves."""

import ast
import os
import pathlib

import numpy as np
import pytest

import keras_convbert
from keras_convbert import files
from keras_convbert.data import prepare
from keras_convbert.files import atomic_file
from keras_convbert.files import atomic_folder
from keras_convbert.files import merge_into_folder
from keras_convbert.training.backup_folder import BackupFolder
from tests import forked
from tests.data import corpora

pytestmark = [
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def write_file(folder):
    files.write_text(folder / "file.txt", "new")


def write_folder(folder):
    with atomic_folder(folder / "written", overwrite=True) as temporary:
        (temporary / "file.txt").write_text("new")


def merge(folder):
    with merge_into_folder(folder / "merged", key="key.txt") as temporary:
        (temporary / "key.txt").write_text("new")


def save_checkpoint(folder):
    backup = BackupFolder(folder / "backup", keep=1)
    backup.clean()
    backup.save(1, False, {}, {"a": np.ones(3)})


def prepare_corpus(folder):
    if not (folder / "shards").exists():
        corpora.shards(folder)
        (folder / "corpus.txt").unlink()


def save_tokenizer(folder):
    corpora.tokenizer().save_to_preset(folder / "preset")


def export_tokenizer(folder):
    corpora.tokenizer().export_to_transformers(folder / "transformers")


WRITERS = [
    *(write_file, write_folder, merge, save_checkpoint, prepare_corpus),
    *(save_tokenizer, export_tokenizer),
]


def hidden(folder):
    return sorted(path.name for path in folder.rglob(".*"))


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("moment", ["flush", "rename"])
def test_next_writer_removes_what_a_killed_one_has_left(
    write, moment, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        if moment == "flush":
            patch.setattr(files, "_flush", forked.kill_this_process)
        else:
            patch.setattr(os, "replace", forked.kill_this_process)
        forked.run_until_killed(lambda: write(tmp_path))
        forked.run_until_killed(lambda: write(tmp_path))
    assert any(name.count(".tmp-") for name in hidden(tmp_path))
    write(tmp_path)
    assert not hidden(tmp_path)


@pytest.mark.parametrize("write", [write_folder, save_checkpoint])
def test_folder_that_was_set_aside_comes_back(write, tmp_path, monkeypatch):
    """The writer was killed between the renames of the old and the new."""
    write(tmp_path)
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    replace, calls = os.replace, []

    def kill_at_the_second(source, target):
        calls.append(source)
        if len(calls) == 2:
            forked.kill_this_process()
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill_at_the_second)
        forked.run_until_killed(lambda: write(tmp_path))
    assert any(name.count(".old-") for name in hidden(tmp_path))
    if write is write_folder:
        files.remove_leftovers(tmp_path / "written")
    else:
        BackupFolder(tmp_path / "backup", keep=1).clean()
    after = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    assert after == before


@pytest.mark.parametrize(
    ("open_target", "waits"),
    [
        (lambda folder: atomic_folder(folder / "target"), False),
        (lambda folder: atomic_file(folder / "target"), True),
        (lambda folder: merge_into_folder(folder, key="target"), True),
    ],
    ids=["folder", "file", "merge"],
)
def test_what_a_living_process_writes_stays(
    open_target, waits, tmp_path, monkeypatch
):
    monkeypatch.setattr(files, "WAIT", 0.1)

    def begin():
        context = open_target(tmp_path)
        return context, context.__enter__()

    with forked.holding(begin) as process:
        before = hidden(tmp_path)
        assert len(before) == 3
        with pytest.raises(BlockingIOError, match=f"Process {process} writes"):
            with open_target(tmp_path):
                pytest.fail("it was begun")
        # Another name, which begins alike.
        for name in ("target.tmp", "target.tmp-abcdefgh", "targets"):
            files.write_text(tmp_path / name, "new")
        assert hidden(tmp_path) == before
    if waits:
        monkeypatch.setattr(files, "WAIT", 20.0)
    with open_target(tmp_path):
        pass
    assert not hidden(tmp_path)


def test_hidden_files_of_the_user_stay(tmp_path):
    names = [".target.template", ".target.txt", ".merge.txt", ".lock.txt"]
    for name in names:
        (tmp_path / name).write_text("kept")
    files.write_text(tmp_path / "target", "new")
    with merge_into_folder(tmp_path, key="key"):
        pass
    assert hidden(tmp_path) == sorted(names)


def test_second_preparation_is_refused_before_it_reads(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(corpora.text())
    with atomic_folder(tmp_path / "shards"):
        with pytest.raises(BlockingIOError, match=r"path='.*shards'"):
            prepare(
                corpus,
                corpora.tokenizer(),
                tmp_path / "shards",
                workers=1,
                progress=False,
            )


def test_only_one_file_makes_temporary_names_beside_results():
    """So that the tests above are about all writers."""
    package = pathlib.Path(keras_convbert.__file__).parent
    makers = {
        *("tempfile.mkstemp", "tempfile.mkdtemp", "tempfile.mktemp"),
        *("tempfile.NamedTemporaryFile", "os.replace", "os.rename"),
    }
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in makers
    }
    # The second renames what it removes, to names that it clears.
    assert found == {"files.py", "training/backup_folder.py"}
