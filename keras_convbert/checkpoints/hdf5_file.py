import os
from typing import Any

import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.hdf5_arrays import hdf5_arrays
from keras_convbert.files import AnyPath

# Groups and arrays; a layer has about sixty.
MAX_OBJECTS = 2**13


class Hdf5File:
    """The names, shapes and arrays of an HDF5 file.

    Links, external storage and virtual datasets, which lead to other files,
    are refused.

    Args:
        path: path of the file.

    Raises:
        CheckpointError: if the file cannot be read, or refers to others.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = os.fspath(path)
        self.size = os.path.getsize(path)
        try:
            with self._open() as file:
                arrays = hdf5_arrays(file, MAX_OBJECTS)
                self.shapes: dict[str, tuple[int, ...]] = {
                    name: array.shape for name, array in arrays.items()
                }
        except (OSError, RuntimeError, KeyError, CheckpointError) as error:
            raise self._unreadable(str(error)) from error

    def __str__(self) -> str:
        return repr(self.path)

    def array(self, name: str) -> np.ndarray:
        """Reads the array called `name`."""
        try:
            with self._open() as file:
                return file[name][()]
        except (OSError, RuntimeError) as error:
            raise self._unreadable(f"{name!r}: {error}") from error

    def _open(self) -> Any:
        import h5py

        return h5py.File(self.path, "r")

    def _unreadable(self, reason: str) -> CheckpointError:
        return CheckpointError(
            f"Cannot read the HDF5 file {self.path!r}. {reason}"
        )
