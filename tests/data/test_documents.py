import gzip
import lzma

import pytest

from keras_convbert.data import documents
from keras_convbert.data import text_files
from keras_convbert.data.documents import Corpus

pytestmark = pytest.mark.once

TEXT = "First line.\nSecond line.\n\nAnother document: é, 電.\n"
DOCUMENTS = ["First line.\nSecond line.", "Another document: é, 電."]


def parts_of(files):
    corpus = Corpus(files)
    parts = []
    for chunk in corpus.chunks(lambda done: None):
        assert chunk.first == len(parts)
        parts += chunk.parts
    return corpus, [part.decode() for part in parts]


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("a.txt", bytes),
        ("a.gz", gzip.compress),
        ("a.xz", lzma.compress),
        ("without_suffix", lzma.compress),
        (
            "two_members.gz",
            lambda b: gzip.compress(b[:20]) + gzip.compress(b[20:]),
        ),
    ],
)
def test_documents_of_a_file(tmp_path, name, compress):
    path = tmp_path / name
    path.write_bytes(compress(TEXT.encode()))
    corpus, parts = parts_of(path)
    assert parts == DOCUMENTS
    assert corpus.documents == 2


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        "\n\n" + TEXT.replace("\n\n", "\n\n \t\n\n") + "\n\n",
        TEXT.replace("\n", " \n").rstrip(),
    ],
    ids=["crlf", "more-blank-lines", "no-last-newline"],
)
def test_blank_lines_and_line_ends_do_not_matter(tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert parts_of(str(tmp_path / "a.txt"))[1] == DOCUMENTS


def test_end_of_a_file_ends_a_document(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).write_text(f"document {name}")
    files = (tmp_path / name for name in ("b", "a"))
    corpus, parts = parts_of(files)
    assert parts == ["document b", "document a"]
    assert corpus.documents == 2


def test_long_lines_are_cut_at_a_space_or_between_characters(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(text_files, "LONGEST_LINE", 16)
    lines = ["a few words that are too long", "x" * 40, "ab" + "電" * 12, "end"]
    (tmp_path / "a").write_text("\n".join(lines), encoding="utf-8")
    (part,) = parts_of(tmp_path / "a")[1]
    assert part.split("\n") == [
        # At the last space of 16 bytes; the rest is not longer than those.
        *["a few words", "that are too long"],
        # Before the last of 16 bytes, and of 16 more.
        *["x" * 15, "x" * 16, "x" * 9],
        # The 16 bytes end within the fifth character of 3 bytes.
        *["ab" + "電" * 4, "電" * 5, "電" * 3],
        "end",
    ]


def test_nothing_of_a_line_without_a_space_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "LONGEST_LINE", 64)
    line = "電é😀" * 300
    (tmp_path / "a").write_text(line, encoding="utf-8")
    (part,) = parts_of(tmp_path / "a")[1]
    assert part.replace("\n", "") == line
    assert max(len(piece.encode()) for piece in part.split("\n")) <= 2 * 64


def test_long_document_comes_in_parts_and_counts_once(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LONGEST_PART", 10)
    text = "12345678\n123\n\n1234567890\n\n1\n\n123456789\n1\n1"
    (tmp_path / "a").write_text(text)
    corpus, parts = parts_of(tmp_path / "a")
    assert parts == ["12345678\n123", "1234567890", "1", "123456789\n1", "1"]
    assert corpus.documents == 4


def test_progress_goes_from_nothing_to_the_size_of_all_files(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(documents, "CHUNK_SIZE", 1000)
    plain = "word " * 5 + "\n\n"
    (tmp_path / "a").write_text(plain * 8000)
    (tmp_path / "b").write_bytes(lzma.compress(plain.encode() * 5000))
    corpus = Corpus([tmp_path / "a", tmp_path / "b"])
    shown = []
    for _ in corpus.chunks(shown.append):
        pass
    assert shown == sorted(shown)
    assert shown[-1] == sum(p.stat().st_size for p in corpus.paths)
    assert len(set(shown)) > 5


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ([], ValueError, r"at least one text file. Received: files=\[\]"),
        ("missing.txt", FileNotFoundError, "files='.*missing.txt'"),
        (".", ValueError, "not of a folder. Received: files="),
        ("utf16.txt", ValueError, "Expected UTF-8 text.*utf16.txt"),
        ("cut.gz", ValueError, "complete compressed file.*cut.gz"),
    ],
    ids=["none", "missing", "folder", "utf-16", "damaged"],
)
def test_bad_files_are_refused_at_once(tmp_path, files, error, message):
    (tmp_path / "utf16.txt").write_text(TEXT, encoding="utf-16")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(TEXT.encode())[:20])
    if isinstance(files, str):
        files = tmp_path / files
    with pytest.raises(error, match=message):
        Corpus(files)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_file_cut_short_is_an_error_not_a_shorter_corpus(tmp_path, compress):
    path = tmp_path / "cut"
    lines = "".join(f"line {i} {i * 7919 % 10007}\n" for i in range(20_000))
    path.write_bytes(compress(lines.encode())[:-2000])
    with pytest.raises(ValueError, match=r"complete compressed file.*cut"):
        parts_of(path)
