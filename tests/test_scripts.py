"""The scripts under `examples/`, as a user runs them."""

import os
import pathlib
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.long


def run(script, *arguments):
    left_out = ("OMP_NUM_THREADS", "XLA_FLAGS")
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        env={k: v for k, v in os.environ.items() if k not in left_out},
        capture_output=True,
        text=True,
    )


def test_layer_in_your_model():
    process = run("layer_in_your_model.py")
    assert process.returncode == 0, process.stdout + process.stderr


def test_quickstart(tmp_path):
    process = run("quickstart.py", "--output", str(tmp_path / "output"))
    assert process.returncode == 0, process.stdout + process.stderr
    assert "difference: the SavedModel" in process.stdout
    assert (tmp_path / "output/saved_model/1/saved_model.pb").exists()


@pytest.mark.once
def test_quickstart_fails_if_labels_say_nothing(tmp_path):
    process = run(
        "quickstart.py",
        "--permute-labels",
        "--pretrain-only",
        *("--output", str(tmp_path / "output")),
    )
    assert process.returncode != 0
    assert "Nothing was learnt" in process.stderr


@pytest.mark.once
def test_quickstart_takes_a_text(tmp_path):
    line = "The quick brown fox jumps over the lazy dog, again and again.\n"
    text = tmp_path / "text.txt"
    text.write_text((line * 3 + "\n") * 3000)
    process = run(
        "quickstart.py",
        *("--corpus", str(text), "--steps", "150", "--pretrain-only"),
        *("--output", str(tmp_path / "output")),
    )
    assert "held out:" in process.stdout, process.stderr
