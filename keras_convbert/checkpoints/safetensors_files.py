import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath


class SafetensorsFiles:
    """The names, shapes and arrays of one or more safetensors files.

    Args:
        paths: sequence of paths. The files; array names must be unique.

    Raises:
        ImportError: if safetensors is not installed.
        CheckpointError: if a file cannot be read.
    """

    def __init__(self, paths: Sequence[AnyPath]) -> None:
        self.paths = [os.fspath(path) for path in paths]
        self.size = sum(map(os.path.getsize, self.paths))
        self.shapes: dict[str, tuple[int, ...]] = {}
