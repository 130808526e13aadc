import os
from typing import Any

import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath


class Hdf5File:
    """The names, shapes and arrays of an HDF5 file.

    What a file has in other files, by links, external storage or virtual
    datasets, is refused.

    Args:
        path: path of the file.

    Raises:
        CheckpointError: if the file cannot be read, or refers to others.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = os.fspath(path)
        self.size = os.path.getsize(path)
        self.shapes: dict[str, tuple[int, ...]] = {}
        try:
            with self._open() as file:
                self._collect(file, "")
        except (OSError, RuntimeError, KeyError) as error:
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

    def _collect(self, group: Any, place: str) -> None:
        import h5py

        for key in group:
            name = f"{place}/{key}" if place else key
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise self._unreadable(f"{name!r} is a link.")
            item = group[key]
            if isinstance(item, h5py.Group):
                self._collect(item, name)
            elif item.external or item.is_virtual:
                raise self._unreadable(f"{name!r} is stored in another file.")
            else:
                self.shapes[name] = item.shape

    def _unreadable(self, reason: str) -> CheckpointError:
        return CheckpointError(
            f"Cannot read the HDF5 file {self.path!r}. {reason}"
        )
