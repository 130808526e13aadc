import itertools
import json
import warnings

import numpy as np
import pytest

from keras_convbert.data import documents
from keras_convbert.data import prepare
from keras_convbert.data import row_maker
from keras_convbert.models import ConvBertTokenizer
from tests.data import corpora

pytestmark = pytest.mark.once

PAD, UNK, CLS, SEP, MASK, DOT, A, B, C = range(9)


def prepared(tmp_path, files, sequence_length=16, workers=1, **options):
    """The manifest and all rows, of which each begins with two lengths."""
    options = {"tokenizer": corpora.tokenizer(), "progress": False, **options}
    folder = tmp_path / "shards"
    manifest = prepare(
        files,
        directory=folder,
        sequence_length=sequence_length,
        workers=workers,
        **options,
    )
    names = [f"rows-{i:05d}.npy" for i in range(len(manifest["shards"]))]
    expected = {"manifest.json", *names}
    assert {entry.name for entry in folder.iterdir()} == expected
    return manifest, np.concatenate([np.load(folder / n) for n in names])


def texts_of(rows):
    """The segments of each row, checked for their form."""
    texts = []
    for row in rows.tolist():
        (first, total), ids = row[:2], row[2:]
        assert ids[0] == CLS
        assert ids[first - 1] == ids[total - 1] == SEP
        assert set(ids[total:]) <= {PAD}
        segments = [ids[1 : first - 1]]
        if total > first:
            segments.append(ids[first : total - 1])
        assert all(segments)
        texts.append(segments)
    return texts


def test_hand_worked_rows_and_manifest(tmp_path):
    (tmp_path / "corpus.txt").write_bytes(
        b"A, b.\r\n\r\n"  # The comma is unknown.
        b"a [SEP] c\r\n"  # So are brackets, and the letters between them.
        b"\r\n\r\n"
        b"ab ab ab ab ab ab ab ab"
    )
    manifest, rows = prepared(tmp_path, tmp_path / "corpus.txt")
    hashed = manifest.pop("tokenizer_hash")
    assert len(hashed) == 64
    assert manifest == {
        "format": 1,
        "sequence_length": 16,
        "vocabulary_size": 17,
        "pad_token_id": PAD,
        "mask_token_id": MASK,
        "special_token_ids": [PAD, CLS, SEP, MASK],
        "dtype": "uint16",
        "seed": 0,
        "shards": [4],
        "rows": 4,
        "tokens": 6 + 7 + 16 + 4,
        "documents": 3,
        "lines": 3,
        "bad_lines": 0,
        "packing": None,
    }
    written = json.loads((tmp_path / "shards" / "manifest.json").read_text())
    assert written == {**manifest, "tokenizer_hash": hashed}
    assert rows.dtype == np.uint16
    long_text = [A, 15] * 8  # "ab" is a, ##b.
    assert texts_of(rows) == [
        [[A, UNK, B, DOT]],
        [[A, UNK, UNK, UNK, C]],
        [long_text[:14]],
        [long_text[14:]],
    ]


def test_rows_hold_each_document_whole_and_no_two_together(tmp_path):
    text = corpora.text(documents=300)
    (tmp_path / "corpus.txt").write_text(text)
    _, rows = prepared(tmp_path, tmp_path / "corpus.txt")
    wanted = corpora.tokenizer()(text.replace("\n", " ").split("  "))
    found = iter(texts_of(rows))
    for document in wanted:
        ids = []
        while len(ids) < len(document):
            ids += [i for segment in next(found) for i in segment]
        assert ids == document
    assert next(found, None) is None


@pytest.mark.parametrize(
    ("workers", "shard_rows"),
    [(1, 70), (2, 1 << 20)],
    ids=["shards", "workers"],
)
def test_rows_depend_on_neither_chunks_nor_workers_nor_shards(
    tmp_path, monkeypatch, workers, shard_rows
):
    paths = [tmp_path / f"{name}.txt" for name in "ab"]
    for seed, path in enumerate(paths):
        path.write_text(corpora.text(documents=100, seed=seed))
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    manifest, rows = prepared(tmp_path / "whole", paths)
    monkeypatch.setattr(documents, "CHUNK_SIZE", 1000)
    other, other_rows = prepared(
        tmp_path / "cut", paths, workers=workers, shard_rows=shard_rows
    )
    np.testing.assert_array_equal(rows, other_rows)
    shards = other.pop("shards")
    assert manifest.pop("shards") == [len(rows)]
    assert other == manifest
    assert all(n == shard_rows for n in shards[:-1])
    assert 0 < shards[-1] <= shard_rows


def test_seed_changes_the_division_and_not_the_text(tmp_path):
    (tmp_path / "corpus.txt").write_text(corpora.text(documents=100))
    found = []
    for seed in (1, 2, 1):
        folder = tmp_path / str(len(found))
        folder.mkdir()
        _, rows = prepared(folder, tmp_path / "corpus.txt", seed=seed)
        found.append(texts_of(rows))
    assert found[0] == found[2] != found[1]
    first, second, _ = [
        [i for row in rows for segment in row for i in segment]
        for rows in found
    ]
    assert first == second


@pytest.mark.parametrize(
    ("size", "dtype"), [(65_536, "uint16"), (65_537, "uint32")]
)
def test_type_has_room_for_the_vocabulary(tmp_path, size, dtype):
    tokens = [*corpora.TOKENS, *(f"w{i}" for i in range(size - 17))]
    (tmp_path / "corpus.txt").write_text(tokens[-1])
    manifest, rows = prepared(
        tmp_path,
        tmp_path / "corpus.txt",
        tokenizer=ConvBertTokenizer(tokens),
    )
    assert manifest["dtype"] == rows.dtype == dtype
    assert rows[0, 3] == size - 1


def test_lines_that_are_no_utf8_are_counted_and_told_once(tmp_path):
    (tmp_path / "corpus.txt").write_bytes(
        b"a\xff b\n\xc3\n\nb \xed\xa0\x80 a\nc\n" + "é".encode("latin-1")
    )
    with pytest.warns(UserWarning, match="^4 of 5 lines have invalid UTF-8"):
        manifest, rows = prepared(
            tmp_path, tmp_path / "corpus.txt", errors="replace"
        )
    assert (manifest["lines"], manifest["bad_lines"]) == (5, 4)
    ids = [i for row in texts_of(rows) for s in row for i in s]
    assert ids == [A, B, B, A, C]


def test_no_warning_without_need(tmp_path):
    (tmp_path / "corpus.txt").write_text("a b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared(tmp_path, tmp_path / "corpus.txt")


def test_lines_of_a_megabyte_are_cut_and_kept(tmp_path):
    line = "ab " * 700_000
    (tmp_path / "corpus.txt").write_text(line + "\n" + "c" * 1_200_000)
    manifest, rows = prepared(
        tmp_path, tmp_path / "corpus.txt", sequence_length=512
    )
    ids = np.concatenate([np.concatenate(row) for row in texts_of(rows)])
    assert np.array_equal(ids[: 2 * 700_000], [A, 15] * 700_000)
    assert set(ids[2 * 700_000 :].tolist()) == {UNK}
    assert manifest["documents"] == 1


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_folder_is_written_whole_or_not_at_all(tmp_path, monkeypatch, error):
    (tmp_path / "corpus.txt").write_text(corpora.text())

    monkeypatch.setattr(documents, "CHUNK_SIZE", 100)
    made = []
    make = row_maker.RowMaker.__call__

    def fail_at_the_third(self, chunk):
        if len(made) == 2:
            raise error
        made.append(make(self, chunk))
        return made[-1]

    monkeypatch.setattr(row_maker.RowMaker, "__call__", fail_at_the_third)
    with pytest.raises(type(error)):
        prepared(tmp_path, tmp_path / "corpus.txt")
    assert [entry.name for entry in tmp_path.iterdir()] == ["corpus.txt"]


def test_occupied_folder_is_refused_before_a_file_is_read(
    tmp_path, monkeypatch
):
    (tmp_path / "corpus.txt").write_text("a b")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "mine").write_text("")
    monkeypatch.setattr(row_maker.RowMaker, "__call__", pytest.fail)
    with pytest.raises(FileExistsError, match=r"where nothing is yet.*shards"):
        prepared(tmp_path, tmp_path / "corpus.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenizer": TOKENS}, r"a `ConvBertTokenizer` with a vocabulary")
        for TOKENS in (corpora.TOKENS, ConvBertTokenizer())
    ]
    + [
        ({"sequence_length": n}, f"from 8 to 65535.*sequence_length={n}")
        for n in (7, 65_536)
    ]
    + [
        ({"seed": -1}, "`seed` of at least 0.*seed=-1"),
        ({"shard_rows": 0}, "`shard_rows` of at least 1.*shard_rows=0"),
        ({"workers": 0}, "`workers` of at least 1. Received: workers=0"),
        ({"kernel_size": 0}, "`kernel_size` of at least 1.*kernel_size=0"),
        ({}, "Expected files with text in them. Received: files=.*corpus"),
    ],
    ids=[
        *["list-of-tokens", "no-vocabulary", "too-short", "too-long", "seed"],
        *["shard_rows", "workers", "kernel_size", "no-text"],
    ],
)
def test_bad_arguments_are_refused(tmp_path, options, message):
    (tmp_path / "corpus.txt").write_text("\n \n\n")
    with pytest.raises(ValueError, match=message):
        prepared(tmp_path, tmp_path / "corpus.txt", **options)
    assert not (tmp_path / "shards").exists()


def test_progress_is_shown_if_wanted(tmp_path, capsys):
    (tmp_path / "corpus.txt").write_text("a b")
    prepared(tmp_path, tmp_path / "corpus.txt", progress=True)
    assert "1/1" in capsys.readouterr().out


def test_added_tokens_are_whole_in_sequences(tmp_path):
    file = tmp_path / "corpus.txt"
    file.write_text("a <x> b<X>c. [SEP] a")
    plain = corpora.tokenizer()
    tokenizer = ConvBertTokenizer(plain.get_vocabulary(), added_tokens=["<x>"])
    manifest, rows = prepared(tmp_path, file, tokenizer=tokenizer)
    new = plain.vocabulary_size()
    (ids,) = texts_of(rows)
    assert [*itertools.chain(*ids)] == [
        A,
        new,
        B,
        new,
        C,
        DOT,
        UNK,
        UNK,
        UNK,
        A,
    ]
    other = prepare(
        file, plain, tmp_path / "other", sequence_length=16, progress=False
    )
    assert other["tokenizer_hash"] != manifest["tokenizer_hash"]
