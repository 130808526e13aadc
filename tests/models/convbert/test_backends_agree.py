"""One file, three backends: TensorFlow here, the others in their processes."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.models.convbert import agreement
from tests.models.convbert import tiny


def measured(folder):
    """What each backend found, by its name."""
    path = str(folder / "model.keras")
    backbone = tiny.backbone(
        num_layers=2, num_groups=2, dropout=0.0, attention_dropout=0.0
    )
    rng = np.random.default_rng(0)
    for weight in backbone.weights:
        if weight.name not in ("gamma", "beta"):
            weight.assign(rng.normal(scale=0.2, size=weight.shape))
    pooled = backbone.output["pooled_output"]
    keras.Model(backbone.input, keras.layers.Dense(3)(pooled)).save(path)
    processes = {
        backend: subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.models.convbert.agreement",
                path,
                str(folder / f"{backend}.npz"),
            ],
            env={**os.environ, "KERAS_BACKEND": backend},
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in ("jax", "torch")
    }
    found = {"tensorflow": agreement.measure(path)}
    for backend, process in processes.items():
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        with np.load(folder / f"{backend}.npz") as file:
            found[backend] = dict(file)
    return found


@pytest.mark.once
@pytest.mark.long
def test_outputs_and_training_agree(tmp_path):
    found = measured(tmp_path)
    wanted = found["tensorflow"]
    assert wanted["outputs"].std(axis=0).min() > 0.1
    assert wanted["losses"].shape == (5,)
    assert wanted["losses"][0] - wanted["losses"][-1] > 1e-3
    for backend in ("jax", "torch"):
        assert found[backend].keys() == wanted.keys()
        for name, array in found[backend].items():
            np.testing.assert_allclose(
                array,
                wanted[name],
                atol=1e-4 if name == "losses" else 1e-5,  # five steps add up
                rtol=0,
                err_msg=f"{name} on {backend}",
            )
