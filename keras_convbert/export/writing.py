"""Has a model written where the backend is the one that a form needs."""

import importlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras

from keras_convbert.files import AnyPath


class Form(NamedTuple):
    """What a form of exported models needs."""

    title: str
    backend: str
    packages: Sequence[str]
    """As `pip install` calls them."""


# A writer of each is in the module of its name with `_writer`.
FORMS = {
    "saved_model": Form("SavedModel", "tensorflow", ("tensorflow",)),
    "onnx": Form("ONNX", "tensorflow", ("tensorflow", "tf2onnx")),
    "litert": Form("LiteRT", "tensorflow", ("tensorflow",)),
    "openvino": Form("OpenVINO", "tensorflow", ("tensorflow", "openvino")),
    "torch": Form("torch.export", "torch", ("torch",)),
}
SHOWN_LINES = 20


def writer(form: str) -> Callable[..., None]:
    return importlib.import_module(f"keras_convbert.export.{form}_writer").write


def check_installed(form: str, others: Sequence[str] = ()) -> None:
    """Raises `ImportError` if a package that a form needs is missing."""
    for package in (*FORMS[form].packages, *others):
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            raise ImportError(
                f"{FORMS[form].title} is written by the package {package}, "
                "whatever backend Keras runs on. Install it: "
                f"`pip install {package}`"
            )


def place(form: str) -> str:
    """Where a form is written, for announcements."""
    backend = FORMS[form].backend
    if keras.backend.backend() == backend:
        return ""
    return f" in a process of {backend}"


def write(form: str, model: Any, path: AnyPath, **options: Any) -> None:
    """Writes a model, here or in a process of another backend.

    Args:
        form: a key of `FORMS`.
        model: the model.
        path: where to write.
        **options: of the writer; what JSON can hold.

    Raises:
        RuntimeError: if the process fails, with the last it had to say.
    """
    if keras.backend.backend() == FORMS[form].backend:
        writer(form)(model, path, **options)
        return
    with tempfile.TemporaryDirectory() as temporary:
        saved = pathlib.Path(temporary) / "model.keras"
        model.save(saved)
        request = {
            "model": str(saved),
            "form": form,
            "path": str(path),
            "options": options,
        }
        process = subprocess.run(
            [sys.executable, "-P", "-m", "keras_convbert.export"],
            input=json.dumps(request),
            env=_environment(FORMS[form].backend),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    if process.returncode != 0:
        last = "\n".join(process.stdout.splitlines()[-SHOWN_LINES:])
        raise RuntimeError(
            f"The process that writes {FORMS[form].title} ended with code "
            f"{process.returncode}. Its last lines:\n{last}"
        )


def _environment(backend: str) -> dict[str, str]:
    """Ours, with another backend and the modules that we see."""
    return {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path),
        # The graph is the same, and the memory of a GPU may be taken by us.
        "CUDA_VISIBLE_DEVICES": "-1",
    }
