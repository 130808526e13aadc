import json
import math
import os
import subprocess
import sys

import pytest


@pytest.mark.once
def test_tasks_train_on_two_replicas_outside_of_the_scope(tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "tests.models.base.mirrored_training", tmp_path],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout.splitlines()[-1])
    loss, predictions = found["classifier"]
    assert math.isfinite(loss)
    assert predictions == 3
    loss_difference, weight_difference = found["question_answerer"]
    assert loss_difference < 1e-5
    assert weight_difference < 1e-5
    loss, steps = found["pretrainer"]
    assert math.isfinite(loss)
    assert steps == 2
    assert math.isfinite(found["layers"])
