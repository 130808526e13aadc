"""What is not text, or not UTF-8, and how it is refused or read."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import random
import sqlite3
import sys
import tarfile
import warnings
import zipfile

import h5py
import numpy as np
import pytest

from keras_convbert.data import prepare
from keras_convbert.data import text_files
from keras_convbert.data import train_vocabulary
from keras_convbert.data.documents import Corpus
from tests.data import corpora

pytestmark = pytest.mark.once

TEXT = "Some text.\nMore of it.\n\nAnother document.\n"
JAPANESE = "日本語の文章です。"


def archive(open_archive):
    file = io.BytesIO()
    with open_archive(file) as opened:
        if isinstance(opened, zipfile.ZipFile):
            opened.writestr("a.txt", TEXT)
        else:
            opened.addfile(tarfile.TarInfo("a.txt"))
    return file.getvalue()


def hdf5():
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened["a"] = 1
    return file.getvalue()


def sqlite():
    database = sqlite3.connect(":memory:")
    database.execute("create table a (b)")
    return database.serialize()


def numpy_file():
    file = io.BytesIO()
    np.save(file, np.arange(3))
    return file.getvalue()


NAMED = {
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-32": TEXT.encode("utf-32"),
    "bzip2": bz2.compress(TEXT.encode()),
    "zip": archive(lambda file: zipfile.ZipFile(file, "w")),
    "tar": archive(lambda file: tarfile.open(fileobj=file, mode="w")),
    "LZMA": lzma.compress(TEXT.encode(), format=lzma.FORMAT_ALONE),
    "gzip": gzip.compress(gzip.compress(TEXT.encode())),
    "HDF5": hdf5(),
    "SQLite": sqlite(),
    "NumPy": numpy_file(),
    # The magic numbers of the formats' specifications.
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(range(1, 200)),
    "JPEG": b"\xff\xd8\xff\xe0\x10JFIF",
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(range(1, 200)),
    "lz4": b"\x04\x22\x4d\x18" + bytes(range(1, 200)),
    "Parquet": b"PAR1\x15\x04\x15",
    "Arrow": b"ARROW1\0\0",
    "RTF": b"{\\rtf1 text}",
    "zero bytes": pickle.dumps([1.0, "text"], protocol=2) + b"\0",
}
# Nothing tells what they are, but most lines are not UTF-8.
UNNAMED = {
    "random": random.Random(0).randbytes(99_999).replace(b"\0", b""),
    "utf16": (JAPANESE * 500).encode("utf-16-le"),
    "latin1": ("Größe\nÄpfel\nein\n" * 9).encode("latin-1"),
    "shift_jis": (JAPANESE + "\n").encode("shift_jis") * 50,
}


def train(path, **options):
    return train_vocabulary(path, 60, workers=1, progress=False, **options)


def make(path, **options):
    return prepare(
        path,
        corpora.tokenizer(),
        path.with_name("out"),
        sequence_length=16,
        workers=1,
        progress=False,
        **options,
    )


@pytest.mark.parametrize("read", [train, make])
@pytest.mark.parametrize("name", NAMED)
def test_known_formats_are_named(tmp_path, name, read):
    path = tmp_path / "corpus.txt"
    path.write_bytes(NAMED[name])
    for errors in ("warn", "replace"):
        with pytest.raises(
            ValueError, match=rf"Expected UTF-8 text.*corpus\.txt', .*{name}"
        ):
            read(path, errors=errors)
    assert [path] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("read", [train, make])
@pytest.mark.parametrize("name", UNNAMED)
def test_what_is_mostly_not_utf8_is_refused_unless_asked_for(
    tmp_path, name, read
):
    path = tmp_path / "corpus.txt"
    path.write_bytes(UNNAMED[name])
    with pytest.raises(
        ValueError, match=r'errors="replace".*corpus\.txt.*lines are not UTF-8'
    ):
        read(path)
    assert [path] == [*tmp_path.iterdir()]
    with pytest.warns(UserWarning, match="lines have invalid UTF-8"):
        read(path, errors="replace")


@pytest.mark.parametrize("read", [train, make])
def test_what_is_mostly_not_utf8_after_its_start_is_refused_in_the_end(
    tmp_path, read, monkeypatch
):
    monkeypatch.setattr(text_files, "HEAD", 100)
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"a b c\n" * 20 + b"\xff\xfe\xfd\n" * 21)
    with pytest.raises(ValueError, match="21 of 41 lines that are not UTF-8"):
        read(path)
    assert [path] == [*tmp_path.iterdir()]
    path.write_bytes(b"a b c\n" * 21 + b"\xff\xfe\xfd\n" * 20)
    with pytest.warns(UserWarning, match="20 of 41 lines have invalid UTF-8"):
        read(path)


def test_character_that_the_end_of_the_start_cuts_is_valid(
    tmp_path, monkeypatch
):
    path = tmp_path / "corpus.txt"
    for text in (JAPANESE * 50, "a\n" + JAPANESE * 50, "a\n" * 40 + JAPANESE):
        path.write_text(text, encoding="utf-8")
        for head in range(90, 100):
            monkeypatch.setattr(text_files, "HEAD", head)
            Corpus(path)


@pytest.mark.parametrize(
    "text",
    ["Obj of text", "MZ is a name.", "PAR1 is text.", "PKs, BZhs", "\ufeffBOM"],
)
def test_text_that_begins_like_another_format_is_text(tmp_path, text):
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    Corpus(tmp_path / "corpus.txt")


def parts_of(path):
    chunks = Corpus(path).chunks(lambda done: None)
    return [part.decode() for chunk in chunks for part in chunk.parts]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_lines_may_end_with_cr_alone(tmp_path, compress):
    wanted = ["Some text.\nMore of it.", "Another document."]
    for end in ("\r", "\n", "\r\n"):
        path = tmp_path / "corpus"
        path.write_bytes(compress(TEXT.replace("\n", end).encode()))
        assert parts_of(path) == wanted
    # Elsewhere CR is a space.
    path.write_bytes(compress(b"one\r\r\ntwo\rthree\r\n\r\nfour"))
    assert parts_of(path) == ["one\ntwo\rthree", "four"]


def zstd(content):
    pyarrow = pytest.importorskip("pyarrow")
    return bytes(pyarrow.compress(content, "zstd", asbytes=True))


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.txt.zst", TEXT, ["Some text.\nMore of it.", "Another document."]),
        ("a", TEXT, ["Some text.\nMore of it.", "Another document."]),
        ("a.jsonl.zst", '{"text": "b"}\n{"text": "c"}', ["b", "c"]),
    ],
)
def test_zstd_is_read(tmp_path, name, content, wanted):
    half = len(content) // 2
    path = tmp_path / name
    # Two frames, one after the other.
    frames = zstd(content[:half].encode()) + zstd(content[half:].encode())
    for compressed in (zstd(content.encode()), frames):
        path.write_bytes(compressed)
        assert parts_of(path) == wanted


def test_zstd_that_is_cut_short_is_an_error(tmp_path):
    path = tmp_path / "cut.zst"
    lines = "".join(f"line {i} {i * 7919 % 10007}\n" for i in range(20_000))
    path.write_bytes(zstd(lines.encode())[:-2000])
    with pytest.raises(ValueError, match=r"complete compressed file.*cut"):
        parts_of(path)


def test_zstd_without_a_library_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "a.zst"
    path.write_bytes(zstd(TEXT.encode()))
    for module in (*text_files.ZSTD_MODULES, "pyarrow"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"needs pyarrow.*a\.zst"):
        Corpus(path)


def test_no_warning_for_text(tmp_path):
    (tmp_path / "corpus.txt").write_text(TEXT)
    with warnings.catch_warnings(action="error"):
        train(tmp_path / "corpus.txt")


def test_other_errors_arguments_are_refused(tmp_path):
    (tmp_path / "corpus.txt").write_text(TEXT)
    with pytest.raises(ValueError, match="Received: errors='ignore'"):
        train(tmp_path / "corpus.txt", errors="ignore")


@pytest.mark.parametrize("read", [train, make])
def test_json_lines_of_another_encoding_are_treated_as_text(tmp_path, read):
    path = tmp_path / "corpus.jsonl"
    rows = [json.dumps({"text": text}) for text in ["a word", "the word"]]
    bad = ['{"text": "a größe"}'] * 5
    path.write_bytes("\n".join([*rows, *bad]).encode("latin-1"))
    with pytest.raises(ValueError, match=r"Received: 5 of 7 lines"):
        read(path)
    with pytest.warns(UserWarning, match="5 of 7 lines have invalid UTF-8"):
        read(path, errors="replace")
