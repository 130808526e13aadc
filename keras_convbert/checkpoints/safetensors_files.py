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
        self._files: dict[str, Any] = {}
        for path in self.paths:
            file = self._open(path)
            for name in file.keys():
                self.shapes[name] = tuple(file.get_slice(name).get_shape())
                self._files[name] = file

    def __str__(self) -> str:
        return repr(", ".join(self.paths))

    def array(self, name: str) -> np.ndarray:
        """Reads the array called `name`."""
        return self._files[name].get_tensor(name)

    def _open(self, path: str) -> Any:
        try:
            import safetensors
        except ImportError as error:
            raise ImportError(
                "Reading a safetensors file needs safetensors: "
                "`pip install safetensors`."
            ) from error
        try:
            return safetensors.safe_open(path, framework="numpy")
        except (OSError, safetensors.SafetensorError) as error:
            raise CheckpointError(
                f"Cannot read the safetensors file {path!r}. {error}"
            ) from error
