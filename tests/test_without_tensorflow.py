"""The library without TensorFlow Text, as where it cannot be installed.

Windows has TensorFlow alone, and Python 3.14 neither.
"""

import os
import pathlib
import subprocess
import sys

import pytest

import keras_convbert

SMOKE_TEST = pathlib.Path(__file__).parents[1] / ".ci" / "smoke_test.py"


@pytest.mark.one_backend("torch")
def test_everything_else_works(tmp_path):
    hidden = ["tensorflow_text"]
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        hidden.append("tensorflow")
    package = pathlib.Path(keras_convbert.__file__).parents[1]
    process = subprocess.run(
        [sys.executable, "-X", "utf8=0", str(SMOKE_TEST), *hidden],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
    )
    assert "everything works" in process.stdout, process.stderr


@pytest.mark.once
def test_without_keras_hub_the_error_says_how_to_install_it(tmp_path):
    code = "import sys; sys.modules['keras_hub'] = None; import keras_convbert"
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(pathlib.Path(keras_convbert.__file__).parents[1]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "pip install --no-deps" in process.stderr
