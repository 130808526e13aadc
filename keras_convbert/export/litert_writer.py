"""Writes LiteRT models, on the TensorFlow backend."""

import pathlib
import tempfile
from typing import Any

from keras_convbert.export.saved_model_writer import write_ids
from keras_convbert.files import AnyPath


def write(model: Any, path: AnyPath) -> None:
    """Writes a model with inputs of ids."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        # Converted from functions, the variables would lose their values.
        write_ids(model, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        pathlib.Path(path).write_bytes(converter.convert())
