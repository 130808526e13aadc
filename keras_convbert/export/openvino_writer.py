"""Writes OpenVINO models, on the TensorFlow backend."""

import tempfile
from typing import Any

from keras_convbert.export.saved_model_writer import write_ids
from keras_convbert.files import AnyPath


def write(model: Any, path: AnyPath) -> None:
    """Writes a model with inputs of ids; `path` ends in `.xml`."""
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        write_ids(model, folder)
        converted = openvino.convert_model(folder)
        # By default OpenVINO stores weights as float16.
        openvino.save_model(converted, str(path), compress_to_fp16=False)
