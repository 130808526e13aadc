"""Rows of integers in `.npy` files of a bounded length."""

import io
import pathlib
from typing import IO

import numpy as np

from keras_convbert.files import AnyPath


class ShardWriter:
    """Writes rows to shards, one after the other, as they come.

    Args:
        directory: folder to write to.
        width: int. Length of a row.
        dtype: string. Type of the rows.
        shard_rows: int. Rows of each shard but the last.
    """

    def __init__(
        self, directory: AnyPath, width: int, dtype: str, shard_rows: int
    ) -> None:
        self.shards: list[int] = []
        self._directory = directory
        self._width = width
        self._dtype = np.dtype(dtype)
        self._shard_rows = shard_rows
        self._file: IO[bytes] | None = None

    def write(self, rows: np.ndarray) -> None:
        while len(rows):
            if self._file is None:
                path = shard_path(self._directory, len(self.shards))
                self._file = open(path, "xb")
                self._file.write(self._header(0))
                self.shards.append(0)
            taken = rows[: self._shard_rows - self.shards[-1]]
            self._file.write(taken.tobytes())
            self.shards[-1] += len(taken)
            if self.shards[-1] == self._shard_rows:
                self.close()
            rows = rows[len(taken) :]

    def close(self) -> None:
        """Ends the last shard."""
        if self._file is not None:
            self._file.seek(0)
            self._file.write(self._header(self.shards[-1]))
            self._file.close()
            self._file = None

    def _header(self, rows: int) -> bytes:
        """Of the same length for any number of rows: NumPy leaves room."""
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header,
            {
                "descr": self._dtype.newbyteorder("<").str,
                "fortran_order": False,
                "shape": (rows, self._width),
            },
        )
        return header.getvalue()


def open_shard(
    directory: AnyPath, number: int, shape: tuple[int, int], dtype: str
) -> np.ndarray:
    """A shard, memory-mapped.

    Raises:
        ValueError: if it is missing, cut short, or not what was expected.
    """
    path = shard_path(directory, number)
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The shard {str(path)!r} is missing or damaged: {error}"
        ) from error
    if shard.shape != shape or shard.dtype != np.dtype(dtype):
        raise ValueError(
            f"Expected the shard {str(path)!r} to have shape {shape} and type "
            f"{dtype}, as the manifest says. Received: shape={shard.shape}, "
            f"dtype={shard.dtype}"
        )
    return shard


def shard_path(directory: AnyPath, number: int) -> pathlib.Path:
    return pathlib.Path(directory) / f"rows-{number:05d}.npy"
