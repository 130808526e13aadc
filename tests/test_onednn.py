"""TensorFlow kernels for empty batches, with and without oneDNN.

TensorFlow computes with its own kernels or with those of oneDNN, which differ.
`TF_ENABLE_ONEDNN_OPTS` selects them when TensorFlow starts; its default
depends on the processor.
"""

import os
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parent
TESTS = ["ops/test_empty_batches.py", "models/test_empty_batches.py"]


def uses_onednn():
    from tensorflow.python.util import _pywrap_util_port

    return _pywrap_util_port.IsMklEnabled()


@pytest.mark.once
@pytest.mark.parametrize("onednn", [False, True])
def test_empty_batches(onednn):
    if onednn == uses_onednn():
        pytest.skip("this process runs these tests")
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(FOLDER / name for name in TESTS),
            *("-k", "formulation or operator or outputs"),
        ],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": str(int(onednn))},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout[-4000:]
