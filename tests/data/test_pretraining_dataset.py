import copy
import itertools
import json
import os
import pathlib
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_convbert.data import PretrainingDataset
from keras_convbert.data.row_maker import LENGTH_COLUMNS
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertTokenizer
from tests.data import corpora

ONCE = pytest.mark.once
INPUTS = ["token_ids", "segment_ids", "padding_mask"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """More than 120 rows, in shards of 40."""
    return corpora.shards(
        tmp_path_factory.mktemp("data"), documents=50, shard_rows=40
    )


@pytest.fixture(scope="module")
def rows(folder):
    shards = [np.load(path) for path in sorted(folder.glob("*.npy"))]
    assert len(shards) > 3
    return np.concatenate(shards)


def token_ids(batches):
    return np.concatenate([batch["token_ids"] for batch in batches])


def sorted_rows(array):
    return np.array(sorted(array.tolist()))


@ONCE
def test_inputs_of_a_row(folder, rows):
    dataset = PretrainingDataset(folder, len(rows), shuffle=False)
    assert len(dataset) == 1
    batch = dataset[0]
    assert list(batch) == INPUTS
    for array in batch.values():
        assert array.shape == (len(rows), 16)
        assert array.dtype == np.int32
    np.testing.assert_array_equal(batch["token_ids"], rows[:, LENGTH_COLUMNS:])
    for row, segments, mask in zip(
        rows.tolist(), batch["segment_ids"], batch["padding_mask"], strict=True
    ):
        first, total = row[:LENGTH_COLUMNS]
        assert mask.tolist() == [1] * total + [0] * (16 - total)
        assert segments.tolist() == (
            [0] * first + [1] * (total - first) + [0] * (16 - total)
        )
    assert np.any(batch["segment_ids"])


@ONCE
def test_epoch_has_each_row_once_in_a_new_order(folder, rows):
    dataset = PretrainingDataset(folder, 8, drop_remainder=False)
    orders = []
    for epoch in range(3):
        batches = [dataset.batch(epoch, i) for i in range(len(dataset))]
        orders.append(token_ids(batches))
        np.testing.assert_array_equal(
            sorted_rows(orders[-1]), sorted_rows(rows[:, LENGTH_COLUMNS:])
        )
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[1], orders[2])


@ONCE
def test_batch_is_a_function_of_seed_epoch_and_index(folder):
    first = PretrainingDataset(folder, 8, seed=3)
    wanted = first.batch(epoch=5, index=2)["token_ids"]
    np.random.seed(1)
    other = PretrainingDataset(folder, 8, seed=3, start_epoch=5)
    other.batch(0, 0)
    for dataset in (other, copy.copy(other), pickle.loads(pickle.dumps(other))):
        np.testing.assert_array_equal(dataset[2]["token_ids"], wanted)
    for dataset in (
        PretrainingDataset(folder, 8, seed=4, start_epoch=5),
        PretrainingDataset(folder, 8, seed=3, start_epoch=6),
    ):
        assert not np.array_equal(dataset[2]["token_ids"], wanted)


@ONCE
def test_iteration_and_lengths(folder, rows):
    dataset = PretrainingDataset(folder, 8)
    assert len(dataset) == dataset.num_batches == len(rows) // 8
    assert dataset.num_rows == len(rows)
    assert dataset.batch_size == 8
    batches = list(dataset)
    assert len(batches) == len(dataset)
    np.testing.assert_array_equal(
        batches[-1]["token_ids"],
        dataset.batch(0, len(dataset) - 1)["token_ids"],
    )
    assert dataset.epoch == 0
    whole = PretrainingDataset(folder, 8, drop_remainder=False)
    assert len(whole) == len(dataset) + 1
    assert len(whole[len(dataset)]["token_ids"]) == len(rows) % 8
    for index in (-1, len(dataset)):
        with pytest.raises(IndexError, match=f"Received: index={index}"):
            dataset[index]


@ONCE
def test_parts_are_stretches_of_rows_that_do_not_overlap(folder, rows):
    shares = [0.0, 0.3, 0.31, 0.95, 1.0]
    found = []
    for part in itertools.pairwise(shares):
        dataset = PretrainingDataset(
            folder, 1, part=part, shuffle=False, drop_remainder=False
        )
        assert dataset.num_rows == len(list(dataset))
        found.append(token_ids(list(dataset)))
    np.testing.assert_array_equal(
        np.concatenate(found), rows[:, LENGTH_COLUMNS:]
    )
    shuffled = PretrainingDataset(folder, 1, part=(0.3, 0.31))
    np.testing.assert_array_equal(
        sorted_rows(token_ids(list(shuffled))), sorted_rows(found[1])
    )


@ONCE
def test_pickle_holds_no_rows(folder):
    dataset = PretrainingDataset(folder, 8)
    assert len(pickle.dumps(dataset)) < 2000


@ONCE
def test_knows_its_tokenizer(folder):
    dataset = PretrainingDataset(folder, 8)
    tokenizer = corpora.tokenizer()
    dataset.check_tokenizer(tokenizer)
    assert dataset.sequence_length == 16
    assert dataset.vocabulary_size == len(corpora.TOKENS)
    assert dataset.mask_token_id == tokenizer.mask_token_id
    assert dataset.special_token_ids == sorted(tokenizer.special_token_ids)
    others = [
        corpora.tokenizer(lowercase=False),
        corpora.tokenizer(strip_accents=False),
        ConvBertTokenizer([*corpora.TOKENS[:-1], "z"]),
    ]
    for other in others:
        with pytest.raises(
            ValueError, match=r"tokenizer that .* prepared with"
        ):
            dataset.check_tokenizer(other)


@ONCE
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` of at least 1.*batch_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"start_epoch": -1}, "start_epoch=-1"),
        ({"part": (0.5, 0.5)}, r"first less.*part=\(0.5, 0.5\)"),
        ({"part": (0.5, 1.5)}, r"part=\(0.5, 1.5\)"),
        ({"part": (-0.5, 1)}, r"part=\(-0.5, 1\)"),
        ({"batch_size": 1000}, "at least one batch.*batch_size=1000"),
    ],
)
def test_bad_arguments_are_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        PretrainingDataset(folder, **{"batch_size": 8, **options})


def change_manifest(folder, **changes):
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


def cut_shard(folder):
    path = folder / "rows-00001.npy"
    path.write_bytes(path.read_bytes()[:-7])


@ONCE
@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (
            lambda f: (f / "manifest.json").unlink(),
            FileNotFoundError,
            "folder that `keras_convbert.data.prepare` has written",
        ),
        (
            lambda f: (f / "manifest.json").write_text("{"),
            ValueError,
            "manifest.json' is damaged",
        ),
        (
            lambda f: (f / "manifest.json").write_text('{"format": 1}'),
            ValueError,
            "manifest.json' is damaged",
        ),
        (
            lambda f: change_manifest(f, format=2),
            ValueError,
            "version of keras_convbert reads. Received: format=2",
        ),
        (
            lambda f: change_manifest(f, sequence_length=17),
            ValueError,
            r"shape \(40, 19\).*Received: shape=\(40, 18\)",
        ),
        (
            lambda f: change_manifest(f, dtype="uint32"),
            ValueError,
            "type uint32.*dtype=uint16",
        ),
        (
            lambda f: (f / "rows-00001.npy").unlink(),
            ValueError,
            "rows-00001.npy' is missing or damaged",
        ),
        (cut_shard, ValueError, "rows-00001.npy' is missing or damaged"),
    ],
    ids=[
        *["no-manifest", "no-json", "no-fields", "newer", "other-length"],
        *["other-type", "no-shard", "shard-cut"],
    ],
)
def test_damaged_folder_is_refused_when_opened(
    tmp_path, damage, error, message
):
    folder = corpora.shards(tmp_path, documents=50, shard_rows=40)
    damage(folder)
    with pytest.raises(error, match=message):
        PretrainingDataset(folder, 8)


class Recorder(keras.Model):
    """Writes down what it is trained and tested on."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.trained_on, self.tested_on = [], []
        self.compile("sgd", run_eagerly=True)

    def call(self, inputs):
        return keras.ops.cast(inputs["token_ids"], "float32") * self.scale

    def compute_loss(self, x, y, y_pred, sample_weight, training=True):
        seen = self.trained_on if training else self.tested_on
        seen.append(np.array(keras.ops.convert_to_numpy(x["token_ids"])))
        return keras.ops.mean(y_pred)


def batches_of(dataset, *places):
    return [dataset.batch(epoch, index)["token_ids"] for epoch, index in places]


def assert_equal_batches(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def epochs(dataset, *numbers):
    return [(e, i) for e in numbers for i in range(len(dataset))]


@pytest.fixture
def dataset(folder):
    return PretrainingDataset(folder, 30, seed=1)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="`tf.data` alone tunes"
)
def test_nobody_waits_for_the_tuner_at_the_end_of_an_epoch(dataset):
    options = dataset.get_tf_dataset().options()
    assert options.autotune.enabled is False


def test_fit_gets_the_batches_of_one_epoch_after_the_other(dataset):
    model = Recorder()
    model.fit(dataset, epochs=2, verbose=0)
    # Resumed with the same dataset.
    model.fit(dataset, initial_epoch=2, epochs=4, verbose=0)
    assert_equal_batches(
        model.trained_on, batches_of(dataset, *epochs(dataset, 0, 1, 2, 3))
    )
    assert dataset.epoch == 4


def test_fit_goes_on_with_a_new_dataset(dataset, folder):
    resumed = PretrainingDataset(folder, 30, seed=1, start_epoch=2)
    model = Recorder()
    model.fit(resumed, initial_epoch=2, epochs=3, verbose=0)
    assert_equal_batches(
        model.trained_on, batches_of(dataset, *epochs(dataset, 2))
    )


def test_validation_on_another_dataset_changes_nothing(dataset, folder):
    held_out = PretrainingDataset(
        folder, 50, shuffle=False, drop_remainder=False
    )
    model = Recorder()
    model.fit(dataset, validation_data=held_out, epochs=2, verbose=0)
    model.evaluate(held_out, verbose=0)
    assert_equal_batches(
        model.trained_on, batches_of(dataset, *epochs(dataset, 0, 1))
    )
    assert_equal_batches(
        model.tested_on, batches_of(held_out, *epochs(held_out, 0, 0, 0))
    )


@pytest.mark.parametrize("share", [0.5, 1], ids=["half", "whole"])
def test_steps_of_an_epoch_go_through_the_dataset(dataset, share):
    """Keras then goes on in the next epoch where it stopped in this one."""
    steps = int(share * len(dataset))
    model = Recorder()
    model.fit(dataset, epochs=3, steps_per_epoch=steps, verbose=0)
    places = epochs(dataset, 0, 1, 2)[: 3 * steps]
    assert_equal_batches(model.trained_on, batches_of(dataset, *places))


def test_epoch_that_was_not_finished_begins_anew(dataset):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.stop_training = True

    model = Recorder()
    model.fit(dataset, epochs=2, callbacks=[Stop()], verbose=0)
    model.fit(dataset, epochs=1, verbose=0)
    places = [(0, 0), (0, 1), *epochs(dataset, 0)]
    assert_equal_batches(model.trained_on, batches_of(dataset, *places))


def tiny_pretrainer_learns(dataset):
    pretrainer = ConvBertPretrainer(
        ConvBertBackbone(
            vocabulary_size=dataset.vocabulary_size,
            num_layers=1,
            num_heads=4,
            hidden_dim=32,
            intermediate_dim=32,
            kernel_size=3,
            max_sequence_length=dataset.sequence_length,
        ),
        mask_token_id=dataset.mask_token_id,
        special_token_ids=dataset.special_token_ids,
        seed=0,
    )
    pretrainer.compile(keras.optimizers.Adam(1e-2))
    history = pretrainer.fit(dataset, epochs=3, verbose=0).history
    assert int(pretrainer.optimizer.iterations) == 3 * len(dataset)
    assert history["mlm_loss"][-1] < history["mlm_loss"][0]


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="the next test does it"
)
def test_pretrainer_learns_from_it(dataset):
    tiny_pretrainer_learns(dataset)


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = sys.modules["tensorflow_text"] = None
import pathlib
from keras_convbert import data
from tests.data import corpora
from tests.data.test_pretraining_dataset import tiny_pretrainer_learns

# No guard of the main module: workers must not run this script again.
folder = pathlib.Path(sys.argv[1])
print("once")
shards = corpora.shards(folder, workers=2)
vocabulary = data.train_vocabulary(
    folder / "corpus.txt", 30, workers=2, progress=False
)
dataset = data.PretrainingDataset(shards, batch_size=8)
tiny_pretrainer_learns(dataset)
print(len(vocabulary))
"""


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="shown on one backend"
)
def test_pretrainer_learns_from_it_without_tensorflow(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(WITHOUT_TENSORFLOW)
    answer = subprocess.run(
        [sys.executable, script, tmp_path],
        env={
            **os.environ,
            "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
            # Half the time to compile.
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == ["once", "14"]
