"""What models take over by name, to load weights whole or not at all."""

import os
from typing import Any

import keras

from keras_convbert.checkpoints.keras_h5 import load_validated
from keras_convbert.checkpoints.plain_names import plain_name
from keras_convbert.checkpoints.shard_index import read_weight_map
from keras_convbert.checkpoints.shard_index import shard_names
from keras_convbert.files import AnyPath


def load_weights(
    self: keras.Model,
    filepath: AnyPath,
    skip_mismatch: bool = False,
    **kwargs: Any,
) -> None:
    """Loads weights; with an error, the weights are those from before.

    A file `.weights.h5`, or shards under `.weights.json`, is checked before
    anything is loaded of it; any other is left to Keras.

    Args:
        filepath: path of the file.
        skip_mismatch: bool. Whether to pass over layers whose arrays have
            other shapes. Defaults to `False`.
        **kwargs: arguments of `keras.Model.load_weights`.

    Raises:
        CheckpointError: if a file is damaged, does not fit the model, or holds
            NaN or infinity. It is a `ValueError`, and names the file.
    """
    path = os.fspath(filepath)
    files: list[AnyPath] = []
    weight_map = None
    # What is on a remote disk is fetched by Keras.
    if path.endswith(".weights.h5") and os.path.exists(path):
        files = [path]
    elif path.endswith(".weights.json") and os.path.exists(path):
        weight_map = read_weight_map(path)
        folder = os.path.dirname(path) or "."
        files = [plain_name(folder, name) for name in shard_names(weight_map)]

    def load() -> None:
        keras.Model.load_weights(
            self, filepath, skip_mismatch=skip_mismatch, **kwargs
        )

    if not files:
        load()
        return
    load_validated(
        self,
        files,
        load,
        skipped=kwargs.get("objects_to_skip") or (),
        skip_mismatch=skip_mismatch,
        weight_map=weight_map,
    )
