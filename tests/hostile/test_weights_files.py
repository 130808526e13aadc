"""Keras's `.weights.h5` of a stranger, through `load_weights`."""

import json
import pathlib

import h5py
import keras
import numpy as np
import pytest

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models import ConvBertTextClassifier
from tests.hostile import guard
from tests.models.convbert import tasks
from tests.models.convbert import tiny

ARRAY = "layers/dense/vars/0"
BIAS = "layers/dense/vars/1"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.weights.h5"
    tiny.backbone().save_weights(path)
    return path


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(5)
    return tiny.backbone()


def replace(**arguments):
    def change(file, outside):
        shape = file[ARRAY].shape
        del file[ARRAY]
        file.create_dataset(ARRAY, **{"shape": shape, **arguments})

    return change


def external_link(file, outside):
    with h5py.File(outside / "other.h5", "w") as other:
        other["x"] = np.ones(file[ARRAY].shape, "float32")
    del file[ARRAY]
    file[ARRAY] = h5py.ExternalLink(str(outside / "other.h5"), "x")


def external_group(file, outside):
    with h5py.File(outside / "other.h5", "w") as other:
        other[ARRAY] = np.ones(file[ARRAY].shape, "float32")
    del file["layers"]
    file["layers"] = h5py.ExternalLink(str(outside / "other.h5"), "layers")


def soft_link(file, outside):
    del file[ARRAY]
    file[ARRAY] = h5py.SoftLink("/layers/embedding/vars/0")


def external_storage(file, outside):
    shape = file[ARRAY].shape
    del file[ARRAY]
    secret = outside / "secret.txt"
    secret.write_bytes(b"s" * 10**5)
    file.create_dataset(
        ARRAY, shape, "float32", external=[(str(secret), 0, 10**5)]
    )


def virtual(file, outside):
    shape = file[ARRAY].shape
    with h5py.File(outside / "other.h5", "w") as other:
        other["x"] = np.ones(shape, "float32")
    del file[ARRAY]
    layout = h5py.VirtualLayout(shape, "float32")
    layout[:] = h5py.VirtualSource(str(outside / "other.h5"), "x", shape)
    file.create_virtual_dataset(ARRAY, layout)


def not_a_number(file, outside):
    file[ARRAY][0, 0] = np.nan


def infinity_in_the_last(file, outside):
    file["layers/reversible_embedding/vars/0"][3, 1] = np.inf


def a_loop(file, outside):
    file["layers/dense/again"] = file["layers"]


def missing(file, outside):
    del file[BIAS]


def one_too_many(file, outside):
    file["layers/dense/vars/2"] = np.ones(3, "float32")


def many_objects(file, outside):
    for i in range(3000):
        file.create_group(f"more/{i}")


def other_shape(file, outside):
    # As large, so that nothing but its shape is wrong.
    values = file[ARRAY][()].T
    del file[ARRAY]
    file[ARRAY] = values


GZIP = {"chunks": True, "compression": "gzip"}
CHANGES = {
    "a link to another file": (external_link, "ExternalLink"),
    "a group in another file": (external_group, "ExternalLink"),
    "a link within": (soft_link, "SoftLink"),
    "bytes of another file": (external_storage, "stored elsewhere"),
    "an array of another file": (virtual, "stored elsewhere"),
    "a petabyte": (replace(shape=(2**48, 1), dtype="float32"), "more than"),
    "3.7 GiB in few bytes": (
        replace(shape=(10**9, 1), dtype="float32", **GZIP),
        "compressed",
    ),
    "512 MiB never written": (
        replace(shape=(2**27, 1), dtype="float32", chunks=True),
        "more than",
    ),
    "well compressed": (replace(dtype="float32", **GZIP), "compressed"),
    "another shape": (other_shape, r"\(32, 16\) instead of \(16, 32\)"),
    "integers": (replace(dtype="int32"), "int32 instead of float32"),
    "texts": (replace(dtype=h5py.string_dtype()), "holds object"),
    "pairs": (replace(dtype=[("a", "f4"), ("b", "f4")]), "holds"),
    "references": (replace(dtype=h5py.ref_dtype), "holds object"),
    "NaN": (not_a_number, "NaN or infinity"),
    "infinity": (infinity_in_the_last, "NaN or infinity"),
    "a group within itself": (a_loop, "more than the model"),
    "an array too few": (missing, "lacks 'layers/dense/vars/1'"),
    "an array too many": (one_too_many, "no variable for"),
    "thousands of groups": (many_objects, "more than the model"),
}


def refuse(model, path, place, match):
    before = guard.weights_of(model)
    with guard.nothing_happens(place / "mine"):
        with pytest.raises(CheckpointError, match=match) as caught:
            model.load_weights(path)
    assert str(path.parent) in str(caught.value)
    guard.assert_same_weights(guard.weights_of(model), before)


@pytest.mark.parametrize("case", CHANGES)
def test_files_are_refused_and_weights_kept(case, good, backbone, place):
    change, match = CHANGES[case]
    path = place / "mine" / "bad.weights.h5"
    path.write_bytes(good.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file, place / "outside")
    refuse(backbone, path, place, match)


@pytest.mark.once
@pytest.mark.parametrize("share", [0, 0.01, 0.2, 0.5, 0.8, 0.99])
def test_truncated_files_are_refused(share, good, backbone, place):
    content = good.read_bytes()
    path = place / "mine" / "bad.weights.h5"
    path.write_bytes(content[: int(share * len(content))])
    refuse(backbone, path, place, "Cannot load")


@pytest.mark.once
def test_flipped_bits_are_refused_or_change_numbers_alone(
    good, backbone, place
):
    """The format has no checksum: a bit of an array may be any."""
    content = good.read_bytes()
    path = place / "mine" / "bad.weights.h5"
    before = guard.weights_of(backbone)
    refused, named = 0, []
    generator = np.random.default_rng(0)
    anywhere = generator.integers(len(content), size=12).tolist()
    for position in [0, 8, 20, 40, 60, 80, *anywhere]:
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with guard.nothing_happens(place / "mine"):
            try:
                backbone.load_weights(path)
            except CheckpointError as error:
                refused += 1
                named.append(str(path) in str(error))
                guard.assert_same_weights(guard.weights_of(backbone), before)
            else:
                before = guard.weights_of(backbone)
    assert refused
    assert all(named)
    assert all(np.isfinite(array).all() for array in before.values())


def shards(folder):
    """Weights in two files, and their index."""
    path = folder / "model.weights.json"
    task = tiny.backbone()
    task.save_weights(path, max_shard_size=2e-5)
    index = json.loads(path.read_text())
    assert len(list(folder.glob("*.h5"))) > 1
    return task, path, index


@pytest.mark.parametrize(
    "name", ["../outside/other.weights.h5", "/etc/passwd", "..", 4, None, ["x"]]
)
def test_shards_elsewhere_are_refused(name, backbone, place):
    _, path, index = shards(place / "mine")
    index["weight_map"]["/layers/dense/vars"] = name
    path.write_text(json.dumps(index))
    refuse(backbone, path, place, "plain name|is no|to be a file|not a file")


@pytest.mark.once
@pytest.mark.parametrize("text", ["[", "{}", '{"weight_map": {"x": "y"}}'])
def test_indices_that_are_none_are_refused(text, backbone, place):
    path = place / "mine" / "model.weights.json"
    path.write_text(text)
    refuse(backbone, path, place, "model.weights.json")


@pytest.mark.once
def test_an_index_that_misleads_is_refused(backbone, place):
    _, path, index = shards(place / "mine")
    names = sorted(p.name for p in path.parent.glob("*.h5"))
    places = index["weight_map"]
    places["/layers/dense/vars"] = next(
        n for n in names if n not in places["/layers/dense/vars"]
    )
    path.write_text(json.dumps(index))
    refuse(backbone, path, place, "the index does not list")


def test_good_shards_are_loaded(backbone, place):
    saved, path, _ = shards(place / "mine")
    backbone.load_weights(path)
    guard.assert_same_weights(
        {w.path.split("/", 1)[-1]: v for w, v in _pairs(backbone)},
        {w.path.split("/", 1)[-1]: v for w, v in _pairs(saved)},
    )


def _pairs(model):
    return [(w, keras.ops.convert_to_numpy(w)) for w in model.weights]


def test_good_files_are_loaded(good, backbone):
    backbone.load_weights(good)
    with h5py.File(good) as file:
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(backbone.embeddings_projection.kernel),
            file[ARRAY][()],
        )


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_mismatches_may_be_skipped(good, place):
    other = tiny.backbone(hidden_dim=48)
    with pytest.raises(CheckpointError, match="instead of"):
        other.load_weights(good)
    with pytest.warns(UserWarning, match="could not be loaded"):
        other.load_weights(good, skip_mismatch=True)


@pytest.mark.once
def test_an_optimizer_of_others_is_passed_over(tmp_path):
    trained = tasks.classifier()
    trained.fit(["a", "b"], [0, 1], verbose=0)
    path = tmp_path / "trained.weights.h5"
    trained.save_weights(path)
    fresh = tasks.classifier()
    with pytest.warns(UserWarning, match="optimizer"):
        fresh.load_weights(path)
    guard.assert_same_weights(
        {str(i): v for i, (_, v) in enumerate(_pairs(fresh))},
        {str(i): v for i, (_, v) in enumerate(_pairs(trained))},
    )


@pytest.mark.parametrize("name", ["model.weights.h5", "task.weights.h5"])
def test_a_preset_with_bad_weights_is_refused(name, place):
    folder = place / "mine"
    tasks.classifier().save_to_preset(str(folder))
    with h5py.File(folder / name, "r+") as file:
        file[ARRAY][0, 0] = np.nan
    with guard.nothing_happens(folder):
        with pytest.raises(CheckpointError, match="NaN") as caught:
            ConvBertTextClassifier.from_preset(str(folder))
    assert name in str(caught.value)
    assert pathlib.Path(folder, name).exists()
