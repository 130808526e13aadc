"""Writes SavedModels from other backends, by a process of TensorFlow's."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from keras_convbert.export.signatures import Labels
from keras_convbert.files import AnyPath

SHOWN_LINES = 20


def write_in_process(model: Any, folder: AnyPath, labels: Labels) -> None:
    """Does what `tensorflow_writer.write` does, on any backend.

    Raises:
        RuntimeError: if the process fails, with the last it had to say.
    """
    with tempfile.TemporaryDirectory() as temporary:
        saved = pathlib.Path(temporary) / "model.keras"
        model.save(saved)
        request = {
            "model": str(saved),
            "folder": str(folder),
            "labels": None if labels is None else list(labels),
        }
        process = subprocess.run(
            [sys.executable, "-P", "-m", "keras_convbert.export"],
            input=json.dumps(request),
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    if process.returncode != 0:
        last = "\n".join(process.stdout.splitlines()[-SHOWN_LINES:])
        raise RuntimeError(
            "The TensorFlow process that writes the SavedModel ended with "
            f"code {process.returncode}. Its last lines:\n{last}"
        )


def _environment() -> dict[str, str]:
    """Ours, with TensorFlow as the backend and the modules that we see."""
    return {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path),
        # The graph is the same, and the memory of a GPU may be taken by us.
        "CUDA_VISIBLE_DEVICES": "-1",
    }
