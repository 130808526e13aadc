"""Writes LiteRT, where TensorFlow is the backend."""

import pathlib
import tempfile
from typing import Any

from keras_convbert.export.saved_model_writer import write_ids
from keras_convbert.files import AnyPath


def write(model: Any, path: AnyPath) -> None:
    """Writes a model that takes ids."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        # Of functions, it would take the variables without their values.
        write_ids(model, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        pathlib.Path(path).write_bytes(converter.convert())
