"""JSON Lines and Parquet files give what the same documents as text give."""

import gzip
import json
import lzma
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_convbert.data import prepare
from keras_convbert.data import row_files
from keras_convbert.data import text_files
from keras_convbert.data import train_vocabulary
from keras_convbert.data.documents import Corpus
from tests.data import corpora
from tests.data.test_documents import parts_of

pytestmark = pytest.mark.once

DOCUMENTS = corpora.text(60).split("\n\n")


def json_lines(documents, column="text"):
    rows = [{"id": i, column: text} for i, text in enumerate(documents)]
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def write(path, documents=DOCUMENTS, column="text"):
    """Writes documents in the format that the file ending names."""
    if ".jsonl" in path.name or ".ndjson" in path.name:
        data = json_lines(documents, column)
        compress = {".gz": gzip.compress, ".xz": lzma.compress}
        path.write_bytes(compress.get(path.suffix, bytes)(data))
    elif path.suffix == ".parquet":
        table = {"id": [*range(len(documents))], column: documents}
        pq.write_table(pa.table(table), path, row_group_size=7)
    else:
        path.write_text("\n\n".join(documents))
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("keras_convbert.data.documents.CHUNK_SIZE", 256)
    monkeypatch.setattr(row_files, "ROWS_PER_BATCH", 4)


ENDINGS = (".jsonl", ".JSONL", ".ndjson", ".jsonl.gz", ".jsonl.xz", ".parquet")


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_are_the_documents_of_a_text_file(tmp_path, ending):
    text = write(tmp_path / "corpus.txt")
    wanted, wanted_parts = parts_of(text)
    path = write(tmp_path / f"corpus{ending}".replace("JSONL", "jsonl"))
    path = path.rename(tmp_path / f"rows{ending}")
    found, parts = parts_of(path)
    assert parts == wanted_parts
    assert found.documents == wanted.documents == len(DOCUMENTS)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
def test_sequences_and_vocabulary_are_those_of_text(tmp_path, ending):
    text = write(tmp_path / "corpus.txt")
    rows = write(tmp_path / f"corpus{ending}", column="body")
    found = []
    for file, options in (
        (text, {"workers": 1}),
        (rows, {"workers": 1, "column": "body"}),
        (rows, {"workers": 2, "column": "body"}),
    ):
        folder = tmp_path / f"sequences{len(found)}"
        options["progress"] = False
        manifest = prepare(
            file,
            corpora.tokenizer(),
            folder,
            sequence_length=16,
            shard_rows=50,
            **options,
        )
        shards = [
            np.fromfile(path, "uint8").tobytes()
            for path in sorted(folder.iterdir())
        ]
        found.append((manifest, shards, train_vocabulary(file, 40, **options)))
    assert found[0] == found[1] == found[2]
    assert len(found[0][1]) > 2


def test_lines_of_a_row_are_the_lines_of_its_document(tmp_path):
    documents = [
        "one\r\ntwo\n\n \nthree\n",
        "",
        "\n",
        None,
        "four",
        "é\u2028電",
    ]
    for name in ("a.jsonl", "a.parquet"):
        corpus, parts = parts_of(write(tmp_path / name, documents))
        assert parts == ["one\ntwo\nthree", "four", "é\u2028電"]
        assert corpus.documents == 3


def test_long_lines_of_rows_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "LONGEST_LINE", 16)
    path = write(tmp_path / "a.jsonl", ["a few words that are too long"])
    assert parts_of(path)[1] == ["a few words\nthat are too long"]


def test_half_a_character_counts_as_a_bad_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a \\ud800 b"}\n')
    with pytest.warns(UserWarning, match="1 of 1 lines have invalid UTF-8"):
        manifest = prepare(
            path,
            corpora.tokenizer(),
            tmp_path / "out",
            sequence_length=8,
            workers=1,
            progress=False,
            errors="replace",
        )
    assert manifest["tokens"] == 4


@pytest.mark.parametrize("ending", ENDINGS[2:])
def test_progress_reaches_the_size_of_the_file(tmp_path, ending):
    corpus = Corpus(write(tmp_path / f"a{ending}"))
    shown = []
    for _ in corpus.chunks(shown.append):
        pass
    assert shown == sorted(shown)
    assert shown[-1] == corpus.size


def test_strings_of_any_parquet_type_are_text(tmp_path):
    for i, column in enumerate(
        (
            pa.array(["a", "b"], pa.large_string()),
            pa.array(["a", "b"]).dictionary_encode(),
        )
    ):
        path = tmp_path / f"{i}.parquet"
        pq.write_table(pa.table({"text": column}), path)
        assert parts_of(path)[1] == ["a", "b"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_an_unknown_column_is_an_error_with_the_columns(tmp_path, name):
    path = write(tmp_path / name)
    message = rf"Expected the column 'x'.*\['id', 'text'\] in .*{name}"
    with pytest.raises(ValueError, match=message):
        Corpus(path, "x")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', r"JSON object.*in line 2 of .*a.jsonl"),
        ("plain prose", r"JSON object.*plain prose.* in line 2 of .*a.jsonl"),
        ('["a"]', r"JSON object.*in line 2 of .*a.jsonl"),
        ('{"other": "a"}', r"column 'text'.*\['other'\] in line 2 of"),
        ('{"text": 3}', r"Expected text in the column.*: 3 in line 2 of"),
        ('{"text": ["a"]}', r"Expected text in the column.*in line 2 of"),
        (f'{{"text": "{"a" * 99}"}}', r"less than 64 bytes.*line 2 of"),
        ("[" * 50, r"in line 2 of .*a.jsonl"),
    ],
)
def test_a_damaged_line_is_an_error_with_its_number(
    tmp_path, monkeypatch, line, message
):
    monkeypatch.setattr(row_files, "LONGEST_ROW", 64)
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "fine"}}\n{line}\n')
    corpus = Corpus(path)
    with pytest.raises(ValueError, match=message):
        [*corpus.chunks(lambda done: None)]


def test_damaged_parquet_files_are_errors(tmp_path):
    path = write(tmp_path / "a.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(ValueError, match=r"complete Parquet file.*a.parquet"):
        Corpus(path)
    path.write_bytes(b"prose\n")
    with pytest.raises(ValueError, match=r"complete Parquet file.*a.parquet"):
        Corpus(path)
    pq.write_table(pa.table({"text": [1]}), path)
    with pytest.raises(ValueError, match=r"Expected text in .*type int64"):
        Corpus(path)


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="needs pyarrow: `pip install"):
        Corpus(path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.csv", "Write its column"),
        ("a.CSV", "Write its column"),
        ("a.tsv.gz", "Write its column"),
        ("a.json", "one JSON object per line"),
        ("a.json.gz", "one JSON object per line"),
        ("a.arrow", "Write it as a .parquet"),
        ("a.zip", "Decompress it"),
        ("a.txt.bz2", "Decompress it"),
        ("a.parquet.gz", "Decompress it"),
    ],
)
def test_other_formats_are_refused_with_advice(tmp_path, name, advice):
    path = pathlib.Path(tmp_path / name)
    path.write_text("some text\n")
    with pytest.raises(ValueError, match=f"{advice}.*Received: files=.*{name}"):
        Corpus(path)
