"""Versions that servers find are whole, and stay as they are."""

import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_convbert.export import export_saved_model
from tests.export import tiny

EXPORT = """
import sys, time

import tensorflow as tf

from keras_convbert.export import export_saved_model, saved_model_writer
from tests.export import tiny


def hang(*arguments):
    print("written", flush=True)
    time.sleep(600)


# All but the requests to warm up is on the disk.
saved_model_writer.write_warmup = hang
export_saved_model(tiny.backbone(), sys.argv[1])
"""
pytestmark = pytest.mark.once


def test_killed_halfway_it_leaves_no_version(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", EXPORT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=pathlib.Path(__file__).parents[2],
    )
    while process.stdout.readline() != "written\n":
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [*tmp_path.rglob("saved_model.pb")]
    # A server takes folders whose names are numbers.
    assert not [path for path in tmp_path.iterdir() if path.name.isdigit()]
    export_saved_model(tiny.backbone(), tmp_path, verbose=False)
    assert (tmp_path / "1" / "saved_model.pb").exists()


def test_a_second_version_leaves_the_first_as_it_is(tmp_path, exported):
    def contents(folder):
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}

    model, first = exported("backbone")
    first = shutil.copytree(first, tmp_path / "1")
    before = contents(first)
    serve = tf.saved_model.load(first).signatures["serving_default"]
    inputs = {k: tf.constant(v) for k, v in tiny.token_ids(model).items()}
    answer = serve(**inputs)["sequence_output"].numpy()

    time.sleep(0.01)
    other = tiny.with_larger_weights(tiny.backbone())
    second = export_saved_model(other, tmp_path, version=2, verbose=False)
    assert contents(first) == before
    np.testing.assert_array_equal(serve(**inputs)["sequence_output"], answer)
    loaded = tf.saved_model.load(second).signatures["serving_default"]
    found = loaded(**inputs)["sequence_output"].numpy()
    assert np.abs(found - answer).max() > 0.01
