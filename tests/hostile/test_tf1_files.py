"""Checkpoints of TensorFlow 1 of a stranger."""

import json
import shutil

import numpy as np
import pytest

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models import ConvBertBackbone
from tests.checkpoints import tf1_files
from tests.hostile import guard
from tests.models.convbert.tf1.test_loading import config_of

pytestmark = pytest.mark.once
KERNEL = "electra/encoder/layer_0/intermediate/dense/kernel"
DATA = "model.ckpt.data-00000-of-00001"
INDEX = "model.ckpt.index"


@pytest.fixture
def prefix(place):
    for file in (DATA, INDEX):
        source = tf1_files.prefix_of("plain").removesuffix("model.ckpt")
        shutil.copy(source + file, place / "mine")
    return place / "mine" / "model.ckpt"


def refuse(prefix, match, config=None):
    config = config_of("plain") if config is None else config
    with guard.nothing_happens(prefix.parent):
        with pytest.raises(CheckpointError, match=match) as caught:
            ConvBertBackbone.from_tf1_checkpoint(prefix, config)
    assert str(prefix.parent) in str(caught.value)


def rewrite(prefix, change):
    arrays = tf1_files.read("plain")
    change(arrays)
    tf1_files.write(prefix, arrays)


@pytest.mark.parametrize("file", [DATA, INDEX])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncated_files_are_refused(file, share, prefix):
    path = prefix.with_name(file)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refuse(prefix, "Cannot read")


@pytest.mark.parametrize("file", [DATA, INDEX])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_flipped_bits_are_refused(file, share, prefix):
    path = prefix.with_name(file)
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 4
    path.write_bytes(content)
    refuse(
        prefix, "Cannot read|do not match the model|Expected a ConvBERT encoder"
    )


def test_values_that_are_not_finite_are_refused(prefix):
    def change(arrays):
        arrays[KERNEL] = np.full_like(arrays[KERNEL], np.nan)

    rewrite(prefix, change)
    refuse(prefix, f"NaN or infinity in {KERNEL!r}")


def test_integers_are_refused(prefix):
    def change(arrays):
        arrays[KERNEL] = arrays[KERNEL].astype("int32")

    rewrite(prefix, change)
    refuse(prefix, "floating-point type")


def test_another_shape_is_refused(prefix):
    def change(arrays):
        arrays[KERNEL] = np.ascontiguousarray(arrays[KERNEL].T)

    rewrite(prefix, change)
    refuse(prefix, "Of another shape")


def test_shapes_larger_than_the_files_are_refused(prefix):
    import tensorflow as tf

    arrays = tf1_files.read("plain")
    name = "electra/embeddings/word_embeddings"
    table = arrays[name]
    slices = ["" for _ in arrays]
    # Of a table declared large, one corner is there.
    slices[list(arrays).index(name)] = (
        f"2147483647 65536 0,{table.shape[0]}:0,{table.shape[1]}"
    )
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=slices,
        tensors=[tf.constant(array) for array in arrays.values()],
    )
    refuse(prefix, "more than the files")


@pytest.mark.parametrize("file", [DATA, INDEX])
def test_links_are_refused(file, prefix, place):
    path = prefix.with_name(file)
    shutil.move(path, place / "outside" / file)
    path.symlink_to(place / "outside" / file)
    refuse(prefix, "leads out")


def test_a_folder_of_this_name_is_refused(prefix, place):
    prefix.mkdir()
    outside = place / "outside" / "model.ckpt"
    (prefix / "checkpoint").write_text(f'model_checkpoint_path: "{outside}"')
    refuse(prefix, "a folder of this name")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vocab_size": 2**31 - 1}, "too large.*parameters=137439091008"),
        ({"hidden_size": 2**40}, "Received: hidden_dim=1099511627776"),
        ({"num_hidden_layers": 10**6}, "too large.*layers=1000000"),
        ({"max_position_embeddings": 10**9}, "too large.*=64000141184"),
        ({"config": 3}, "`config` .* to be a dict. Received: config=3"),
    ],
)
def test_configs_are_refused(values, message, prefix):
    path = prefix.with_name("config.json")
    path.write_text(json.dumps({**config_of("plain"), **values}))
    with guard.nothing_happens(prefix.parent):
        with pytest.raises(CheckpointError, match=message):
            ConvBertBackbone.from_tf1_checkpoint(prefix, path)


@pytest.mark.parametrize("text", ["[" * 10**5, "[1]", "{", " " * 2**21])
def test_configs_that_are_none_are_refused(text, prefix):
    path = prefix.with_name("config.json")
    path.write_text(text)
    refuse(prefix, "config.json", path)
