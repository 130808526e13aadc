"""Rows that several sequences share."""

import json

import keras
import numpy as np
import pytest

from keras_convbert.data import PretrainingDataset
from keras_convbert.data import documents
from keras_convbert.data import prepare
from keras_convbert.data import row_packer
from keras_convbert.models import ConvBertPretrainer
from tests.data import corpora
from tests.models.convbert import tiny

ONCE = pytest.mark.once
PAD, _, CLS, SEP, MASK, DOT, A, B, C = range(9)
LENGTH = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("packed"))


def packed(folder, **options):
    options = {"sequence_length": LENGTH, "pack": True, **options}
    return corpora.shards(folder, **{"documents": 150, **options})


def whole(folder):
    """All rows of a folder, in their order, in one batch."""
    rows = json.loads((folder / "manifest.json").read_text())["rows"]
    return PretrainingDataset(folder, rows, shuffle=False)[0]


def sequences_of(batch):
    """Ids and segments of each sequence, and what stands before it in a row.

    Read off the mask, position by position.
    """
    found = []
    for ids, segments, mask in zip(
        *(batch[name].tolist() for name in ("token_ids", "segment_ids")),
        batch["padding_mask"].tolist(),
        strict=True,
    ):
        before = None
        for place, number in enumerate(mask):
            if number == 0:
                assert (ids[place], segments[place]) == (PAD, 0)
            elif number != before:
                start = place
                while start and mask[start - 1] == 0:
                    start -= 1
                found.append(([], [], place - start, number))
                before = number
            if number:
                assert number == found[-1][3]
                found[-1][0].append(ids[place])
                found[-1][1].append(segments[place])
    return found


@ONCE
def test_hand_worked_rows(tmp_path):
    (tmp_path / "corpus.txt").write_text(
        "a b\n\n" + "a. " * 8 + "\n\nc\n\nb b b\n\nc c"
    )
    folder = tmp_path / "shards"
    manifest = prepare(
        tmp_path / "corpus.txt",
        corpora.tokenizer(),
        folder,
        sequence_length=16,
        workers=1,
        progress=False,
        pack=True,
        kernel_size=3,
    )
    assert manifest["packing"] == {
        "gap": 1,
        "start_token_id": CLS,
        "end_token_id": SEP,
    }
    first = [CLS, A, B, SEP]
    long = [A, DOT] * 8
    batch = whole(folder)
    # What fills a row goes before what waits for others.
    assert batch["token_ids"].tolist() == [
        [CLS, *long[:14], SEP],
        [*first, PAD, CLS, *long[14:16], SEP, PAD, CLS, C, SEP, PAD, PAD, PAD],
        [CLS, B, B, B, SEP, PAD, CLS, C, C, SEP, *[PAD] * 6],
    ]


@ONCE
def test_each_sequence_lies_in_one_row_with_padding_around(folder, tmp_path):
    plain = corpora.shards(tmp_path, documents=150, sequence_length=LENGTH)
    alone = sequences_of(whole(plain))
    found = sequences_of(whole(folder))
    assert sorted(s[:2] for s in found) == sorted(s[:2] for s in alone)
    number = 0
    for ids, _, before, own in found:
        assert own == 1 or own == number + 1
        assert before == (0 if own == 1 else 4)
        assert ids[0] == CLS
        assert ids[-1] == SEP
        number = own
    one, other = (
        json.loads((f / "manifest.json").read_text()) for f in (folder, plain)
    )
    assert one["tokens"] == other["tokens"] == sum(len(s[0]) for s in found)
    assert one["rows"] < 0.9 * other["rows"]


@ONCE
@pytest.mark.parametrize(
    "options", [{"shard_rows": 7}, {"workers": 2}], ids=["shards", "workers"]
)
def test_rows_depend_on_neither_chunks_nor_workers_nor_shards(
    folder, tmp_path, monkeypatch, options
):
    monkeypatch.setattr(documents, "CHUNK_SIZE", 1000)
    batch = whole(packed(tmp_path, **options))
    for name, array in whole(folder).items():
        np.testing.assert_array_equal(batch[name], array)


@ONCE
def test_the_oldest_row_is_done_when_too_many_are_open(monkeypatch):
    monkeypatch.setattr(row_packer, "OPEN_ROWS", 2)
    packer = row_packer.RowPacker(16, 1, PAD, "uint16")

    def added(length, token):
        row = [length, length] + [token] * length + [PAD] * (16 - length)
        return packer.add(np.array([row], "uint16")).tolist()

    assert added(9, 1) == added(10, 2) == []
    assert added(11, 3) == [[1] * 9 + [PAD] * 7]
    assert added(5, 4) == [[2] * 10 + [PAD] + [4] * 5]
    assert packer.rest().tolist() == [[3] * 11 + [PAD] * 5]


@ONCE
def test_batch_is_a_function_of_seed_epoch_and_index(folder):
    dataset = PretrainingDataset(folder, 8, seed=3)
    later = PretrainingDataset(folder, 8, seed=3, start_epoch=5)
    assert dataset.gap == 4
    for name, array in later[2].items():
        np.testing.assert_array_equal(array, dataset.batch(5, 2)[name])


@ONCE
def test_a_folder_of_before_opens(tmp_path):
    folder = corpora.shards(tmp_path)
    wanted = whole(folder)
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    del content["packing"]
    path.write_text(json.dumps(content))
    for name, array in whole(folder).items():
        np.testing.assert_array_equal(array, wanted[name])


@ONCE
def test_a_damaged_packing_is_refused(tmp_path):
    folder = packed(tmp_path)
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "packing": {"gap": 4}}))
    with pytest.raises(ValueError, match=r"manifest.json' is damaged"):
        PretrainingDataset(folder, 8)


def pretrainer(**options):
    task = ConvBertPretrainer(
        tiny.backbone(**{"packed": True, "kernel_size": 9, **options}),
        mask_token_id=MASK,
        special_token_ids=tiny.SPECIAL_IDS,
        compile=False,
    )
    return tiny.compile_cheaply(task, keras.optimizers.Adam(1e-2))


def test_pretrainer_learns_from_it_and_survives_a_file(folder, tmp_path):
    dataset = PretrainingDataset(folder, 80)
    task = pretrainer(kernel_size=3)
    history = task.fit(dataset, epochs=3, verbose=0).history
    assert history["mlm_loss"][-1] < history["mlm_loss"][0]
    task.save(tmp_path / "task.keras")
    again = keras.models.load_model(tmp_path / "task.keras")
    assert again.backbone.packed
    assert again.generator.packed
    for one, other in zip(again.get_weights(), task.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_losses_and_slots_are_of_real_tokens(folder):
    """By NumPy, from what the task gives."""
    task = pretrainer()
    batch = PretrainingDataset(folder, 8).batch(0, 0)
    assert batch["padding_mask"].max() > 1
    found = task.predict(batch, verbose=0)
    rows, slots = np.nonzero(found["mask_weights"])
    hidden = batch["token_ids"][rows, found["mask_positions"][rows, slots]]
    assert not np.isin(hidden, tiny.SPECIAL_IDS).any()
    real = batch["padding_mask"] > 0
    np.testing.assert_array_equal(
        found["mask_weights"].sum(1),
        np.clip(np.round(0.15 * real.sum(1)), 1, int(0.155 * LENGTH)),
    )
    logits, labels = found["rtd_logits"], found["rtd_labels"]
    losses = np.logaddexp(0, logits) - labels * logits
    scores = task.evaluate(batch, return_dict=True, verbose=0)
    expected = {
        "rtd_loss": losses[real].mean(),
        "rtd_accuracy": ((logits > 0) == labels)[real].mean(),
        "mlm_loss": found["mlm_losses"][rows, slots].mean(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(scores[name], value, rtol=1e-5, atol=1e-6)


@ONCE
def test_a_backbone_that_would_mix_sequences_is_refused(folder, tmp_path):
    dataset = PretrainingDataset(folder, 8)
    plain = PretrainingDataset(corpora.shards(tmp_path), 8)
    unaware = pretrainer(packed=False)
    reaching = pretrainer(kernel_size=11)
    for task, message in [
        (unaware, "`packed=True`, since.*Received: packed=False"),
        (reaching, "at least 5 padded.*kernel_size=11.*gap=4"),
    ]:
        with pytest.raises(ValueError, match=message):
            task.fit(dataset)
        with pytest.raises(ValueError, match=message):
            task.fit(plain, validation_data=dataset)
        with pytest.raises(ValueError, match=message):
            task.evaluate(dataset)
