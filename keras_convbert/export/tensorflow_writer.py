"""Writes SavedModels, where TensorFlow is the backend."""

from collections.abc import Callable
from typing import Any

import keras

from keras_convbert.export.signatures import Labels
from keras_convbert.export.signatures import kind_of
from keras_convbert.export.signatures import text_signatures
from keras_convbert.files import AnyPath
from keras_convbert.types import Tensor


def write(model: Any, folder: AnyPath, labels: Labels) -> None:
    """Writes a model with all its signatures.

    Args:
        model: of one of the kinds that `signatures` lists.
        folder: path of a folder to fill.
        labels: names of the classes, or `None`.
    """
    import tensorflow as tf

    # The archive finds the variables in the graphs. Told of the model with
    # `track`, it would store each of them twice.
    archive = keras.export.ExportArchive()
    inputs = {
        name: tf.TensorSpec((None, None), "int32", name=name)
        for name in model.input
    }
    serve = archive.add_endpoint(
        "serving_default", _on_ids(model, labels), [inputs]
    )
    for signature, names in text_signatures(model).items():
        texts = [tf.TensorSpec((None,), "string", name=name) for name in names]
        archive.add_endpoint(signature, _on_strings(model, serve), texts)
    archive.write_out(str(folder), verbose=False)


def _on_ids(model: Any, labels: Labels) -> Callable[..., dict[str, Tensor]]:
    name_outputs = kind_of(model).name_outputs

    def serve_ids(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return name_outputs(model, model(inputs, training=False), labels)

    return serve_ids


def _on_strings(
    model: Any, serve: Callable[..., dict[str, Tensor]]
) -> Callable[..., dict[str, Tensor]]:
    import tensorflow as tf

    def serve_strings(*texts: Tensor) -> dict[str, Tensor]:
        for others in texts[1:]:
            tf.debugging.assert_equal(
                tf.size(others), tf.size(texts[0]), "Expected pairs of texts"
            )
        inputs = model.preprocessor(x=texts)
        return serve({k: tf.cast(inputs[k], "int32") for k in model.input})

    return serve_strings
