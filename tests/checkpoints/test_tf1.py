import sys

import numpy as np
import pytest

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.tf1 import Tf1Checkpoint
from tests.checkpoints import tf1_files

pytestmark = pytest.mark.once

ARRAYS = {"a/kernel": np.ones((2, 3), "float32"), "step": np.int64(7)}


@pytest.fixture
def prefix(tmp_path):
    return tf1_files.write(tmp_path / "model.ckpt", ARRAYS)


def test_names_shapes_and_arrays(prefix):
    checkpoint = Tf1Checkpoint(prefix)
    assert checkpoint.shapes == {"a/kernel": (2, 3), "step": ()}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(checkpoint.array(name), array)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.index'.*none'$"):
        Tf1Checkpoint(tmp_path / "none")


@pytest.mark.parametrize("length", [0, 40, 100])
def test_a_spoilt_index_is_named(prefix, length):
    index = prefix.with_name("model.ckpt.index")
    index.write_bytes(index.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"Cannot read .*model\.ckpt'"):
        Tf1Checkpoint(prefix)


def test_truncated_arrays_are_named(prefix):
    data = prefix.with_name("model.ckpt.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:10])
    with pytest.raises(CheckpointError, match=r"model\.ckpt'. 'a/kernel': "):
        Tf1Checkpoint(prefix).array("a/kernel")


def test_changed_bytes_are_noticed(prefix):
    data = prefix.with_name("model.ckpt.data-00000-of-00001")
    data.write_bytes(bytes(byte ^ 1 for byte in data.read_bytes()))
    with pytest.raises(CheckpointError, match="'a/kernel': "):
        Tf1Checkpoint(prefix).array("a/kernel")


def test_tensorflow_is_asked_for_where_it_is_missing(prefix, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match="needs the package tensorflow"):
        Tf1Checkpoint(prefix)
