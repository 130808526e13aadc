"""Reads the index of a checkpoint that is stored in several files."""

import os
from typing import Any

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.files import AnyPath
from keras_convbert.types import Config

MAX_INDEX_BYTES = 2**24


def read_weight_map(path: AnyPath) -> Config:
    """Reads the map from arrays to files in a shard index.

    Raises:
        CheckpointError: if the index is damaged or has no such map.
    """
    return check_weight_map(read_json(path, MAX_INDEX_BYTES), path)


def check_weight_map(index: Config, path: AnyPath) -> Config:
    """Returns the `weight_map` of an index that was read from `path`.

    Raises:
        CheckpointError: if it is not a dict of paths to names.
    """
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        key.startswith("/") for key in weight_map
    ):
        raise CheckpointError(
            f"Expected {os.fspath(path)!r} to hold a dict `weight_map` of "
            "paths to names of files."
        )
    return weight_map


def shard_names(weight_map: Config) -> list[Any]:
    """Returns the file names in a `weight_map`, each once."""
    names = []
    for entry in weight_map.values():
        names += entry if isinstance(entry, list) else [entry]
    # Compared by `repr`: the entries of an untrusted file may have any type.
    return [*{repr(name): name for name in names}.values()]
