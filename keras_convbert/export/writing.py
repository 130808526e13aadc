"""Runs the writer of an export format on the backend that it needs."""

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

from keras_convbert.compat import flatten_layers
from keras_convbert.compat import missing_tensorflow
from keras_convbert.files import AnyPath


class Form(NamedTuple):
    """Requirements of an export format."""

    title: str
    backend: str
    packages: Sequence[str]
    """Names for `pip install`."""


# The writer of a format is `write` in the module `<key>_writer`.
FORMS = {
    "saved_model": Form("SavedModel", "tensorflow", ("tensorflow",)),
    "onnx": Form("ONNX", "tensorflow", ("tensorflow", "tf2onnx")),
    "litert": Form("LiteRT", "tensorflow", ("tensorflow",)),
    "openvino": Form("OpenVINO", "tensorflow", ("tensorflow", "openvino")),
    "torch": Form("torch.export", "torch", ("torch",)),
}
SHOWN_LINES = 20
# The packages whose classes the other process can load.
PACKAGES = {"keras", "keras_hub", "keras_convbert"}


def writer(form: str) -> Callable[..., None]:
    return importlib.import_module(f"keras_convbert.export.{form}_writer").write


def check_installed(form: str, others: Sequence[str] = ()) -> None:
    """Raises `ImportError` if a required package is not installed."""
    for package in (*FORMS[form].packages, *others):
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            if package in ("tensorflow", "tensorflow-text"):
                raise missing_tensorflow(
                    f"Export to {FORMS[form].title}, on every Keras backend,",
                    package,
                )
            raise ImportError(
                f"Export to {FORMS[form].title} needs the package {package}, "
                "on every Keras backend. Install it with "
                f"`pip install {package}`"
            )


def process_note(form: str) -> str:
    """Names the process that writes a format, for printed messages."""
    backend = FORMS[form].backend
    if keras.backend.backend() == backend:
        return ""
    return f" in a {backend} process"


def write(form: str, model: Any, path: AnyPath, **options: Any) -> None:
    """Writes a model, in this process or in one with the required backend.

    Args:
        form: a key of `FORMS`.
        model: the model.
        path: where to write.
        **options: arguments of the writer, which JSON must support.

    Raises:
        RuntimeError: if the process fails. The message shows the last lines
            of its output.
    """
    if keras.backend.backend() == FORMS[form].backend:
        writer(form)(model, path, **options)
        return
    _check_readable(model, form)
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
        lines = "\n".join(process.stdout.splitlines()[-SHOWN_LINES:])
        raise RuntimeError(
            f"The process that writes {FORMS[form].title} failed with exit "
            f"code {process.returncode}. Last lines of its output:\n{lines}"
        )


def _check_readable(model: Any, form: str) -> None:
    """Raises `ValueError` for layers that another process cannot load."""
    layers = flatten_layers(model) if isinstance(model, keras.Model) else []
    for layer in layers:
        package = type(layer).__module__.partition(".")[0]
        if package in PACKAGES and not isinstance(layer, keras.layers.Lambda):
            continue
        backend = FORMS[form].backend
        raise ValueError(
            f"Expected a model of layers of Keras, KerasHub and this library, "
            f"and no `Lambda`, since a {backend} process reads it from a file. "
            f"Load the model with KERAS_BACKEND={backend} and export it there. "
            f"Received: layer={layer.name!r} of class "
            f"{type(layer).__module__}.{type(layer).__name__}"
        )


def _environment(backend: str) -> dict[str, str]:
    """Returns `os.environ` with another backend and the current `sys.path`."""
    return {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path),
        # The graph does not depend on the device, and this process may already
        # use all memory of the GPU.
        "CUDA_VISIBLE_DEVICES": "-1",
    }
