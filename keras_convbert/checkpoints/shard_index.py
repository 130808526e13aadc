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
