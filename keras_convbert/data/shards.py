"""Rows of integers in `.npy` files of bounded length."""

import io
import pathlib
from typing import IO

import numpy as np

from keras_convbert.files import AnyPath


class ShardWriter:
    """Writes a stream of rows to successive shards.

    Args:
        directory: folder to write to.
        width: int. Length of a row.
        dtype: string. Dtype of the rows.
        shard_rows: int. Rows per shard; the last one may have fewer.
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
        """Finishes the last shard."""
        if self._file is not None:
            self._file.seek(0)
            self._file.write(self._header(self.shards[-1]))
            self._file.close()
            self._file = None

    def _header(self, rows: int) -> bytes:
        """Returns the header. NumPy pads it to a length that fits any count."""
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
    """Memory-maps a shard.

    Raises:
        ValueError: if it is missing or truncated, or has another shape or
            dtype.
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
            f"Expected the shard {str(path)!r} to have shape {shape} and "
            f"dtype {dtype}, as in the manifest. Received: "
            f"shape={shard.shape}, dtype={shard.dtype}"
        )
    return shard


def shard_path(directory: AnyPath, number: int) -> pathlib.Path:
    return pathlib.Path(directory) / f"rows-{number:05d}.npy"
