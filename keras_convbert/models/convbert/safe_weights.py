"""What models take over by name, to load weights whole or not at all."""

import os
from typing import Any

import keras

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.keras_h5 import load_whole
from keras_convbert.checkpoints.plain_names import plain_name
from keras_convbert.files import AnyPath
from keras_convbert.types import Config

MAX_INDEX_BYTES = 2**24


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
    load_whole(
        self,
        files,
        load,
        skipped=kwargs.get("objects_to_skip") or (),
        skip_mismatch=skip_mismatch,
        weight_map=weight_map,
    )


def read_weight_map(path: AnyPath) -> Config:
    """What an index of shards says of where the arrays are.

    Raises:
        CheckpointError: if it is damaged, or lists anything but names.
    """
    weight_map = read_json(path, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        key.startswith("/") for key in weight_map
    ):
        raise CheckpointError(
            f"Expected {os.fspath(path)!r} to hold a dict `weight_map` of "
            "paths to names of files."
        )
    return weight_map


def shard_names(weight_map: Config) -> list[Any]:
    """The names of files in a `weight_map`, each once."""
    names = []
    for entry in weight_map.values():
        names += entry if isinstance(entry, list) else [entry]
    # By their text: of a stranger's file they may be anything.
    return [*{repr(name): name for name in names}.values()]
