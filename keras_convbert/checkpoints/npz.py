import os
import zipfile

import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath

MAX_BYTES = 2**20


def read_npz(path: AnyPath) -> dict[str, np.ndarray]:
    """Reads the arrays of a small `.npz` file, without pickle.

    Raises:
        CheckpointError: if the file is damaged, or if it or a member is larger
            than 1 MiB.
    """
    try:
        if os.path.getsize(path) > MAX_BYTES:
            raise CheckpointError("it is too large.")
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive)
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception as error:
        raise CheckpointError(
            f"Cannot load {os.fspath(path)!r}: {error}"
        ) from error


def _check_sizes(archive: zipfile.ZipFile) -> None:
    for member in archive.infolist():
        if member.file_size > MAX_BYTES:
            raise CheckpointError(f"{member.filename!r} is too large.")
        with archive.open(member) as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        # NumPy allocates the whole array before it reads it.
        if np.prod(shape, dtype=float) * dtype.itemsize > member.file_size:
            raise CheckpointError(f"{member.filename!r} is incomplete.")
