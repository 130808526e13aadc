"""What models take over by name, to load weights whole or not at all."""

import os
from typing import Any

import keras

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.keras_h5 import load_whole
from keras_convbert.checkpoints.plain_names import plain_name
from keras_convbert.files import AnyPath

MAX_INDEX_BYTES = 2**24


def load_weights(
    model: keras.Model,
    filepath: AnyPath,
    skip_mismatch: bool = False,
    **kwargs: Any,
) -> None:
    """Loads weights; with an error, the weights are those from before.

    A file `.weights.h5`, or shards under `.weights.json`, is checked before
    anything is read of it; any other is left to Keras.

    Args:
        filepath: path of the file.
        skip_mismatch: bool. Whether to pass over layers whose arrays have
            other shapes. Defaults to `False`.
        **kwargs: arguments of `keras.Model.load_weights`.

    Raises:
        CheckpointError: if a file is damaged, does not fit the model, or holds
            NaN or infinity. It is a `ValueError`, and names the file.
    """
    files = weight_files(filepath)

    def load() -> None:
        keras.Model.load_weights(
            model, filepath, skip_mismatch=skip_mismatch, **kwargs
        )

    if not files:
        load()
        return
    load_whole(
        model,
        files,
        load,
        skipped=kwargs.get("objects_to_skip") or (),
        check_shapes=not skip_mismatch,
    )


def weight_files(filepath: AnyPath) -> list[AnyPath]:
    """The files of Keras's arrays at `filepath`, none if it is another."""
    path = os.fspath(filepath)
    if not os.path.exists(path):
        return []
    if path.endswith(".weights.h5"):
        return [path]
    if path.endswith(".weights.json"):
        folder = os.path.dirname(path) or "."
        return [plain_name(folder, name) for name in shard_names(path)]
    return []


def shard_names(path: AnyPath) -> list[Any]:
    """The names of the files that an index of shards lists.

    Raises:
        CheckpointError: if there is no such list.
    """
    weight_map = read_json(path, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict):
        raise CheckpointError(
            f"Expected {os.fspath(path)!r} to hold a dict `weight_map`."
        )
    found: dict[Any, None] = {}
    for names in weight_map.values():
        for name in names if isinstance(names, list) else [names]:
            found[name if isinstance(name, str) else repr(name)] = None
    return [*found]
