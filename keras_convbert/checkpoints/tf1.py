import glob
import math
import os
import pathlib
from typing import Any

import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.plain_names import check_inside
from keras_convbert.compat import missing_tensorflow
from keras_convbert.files import AnyPath


class Tf1Checkpoint:
    """The names, shapes and arrays of a TensorFlow 1 checkpoint.

    Arrays are read one at a time: the optimizer in a file, twice as large as
    the model, takes no memory.

    Args:
        prefix: path. The common prefix of the files `….index` and
            `….data-00000-of-00001`.

    Raises:
        ImportError: if TensorFlow is not installed.
        FileNotFoundError: if there is no file `….index`.
        CheckpointError: if the files cannot be read, are links that lead out
            of their folder, or declare arrays larger than themselves.
    """

    def __init__(self, prefix: AnyPath) -> None:
        self.prefix = os.fspath(prefix)
        index = pathlib.Path(f"{self.prefix}.index")
        if not index.is_file():
            raise FileNotFoundError(
                "Expected the prefix of a TensorFlow checkpoint, with a file "
                f"{str(index)!r}. Received: prefix={self.prefix!r}"
            )
        folder = index.parent
        self._files = [
            index,
            *folder.glob(f"{glob.escape(index.stem)}.data-?????-of-?????"),
        ]
        for file in self._files:
            check_inside(folder, file)
        if os.path.isdir(self.prefix):
            # TensorFlow would search it for another checkpoint.
            raise self._unreadable("There is a folder of this name.")
        self._reader = self._open()
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(shape)
            for name, shape in self._reader.get_variable_to_shape_map().items()
        }

        self._check_sizes()

    def __str__(self) -> str:
        return repr(self.prefix)

    @property
    def size(self) -> int:
        """Size of all files of the checkpoint in bytes."""
        return sum(file.stat().st_size for file in self._files)

    def array(self, name: str) -> np.ndarray:
        """Reads the array called `name`."""
        try:
            return self._reader.get_tensor(name)
        except Exception as error:
            raise self._unreadable(f"{name!r}: {error}") from error

    def _open(self) -> Any:
        try:
            import tensorflow as tf
        except ImportError as error:
            raise missing_tensorflow(
                "Reading a TensorFlow checkpoint", "tensorflow"
            ) from error
        # The reader may raise any exception on a damaged file.
        try:
            return tf.train.load_checkpoint(self.prefix)
        except Exception as error:
            raise self._unreadable(str(error)) from error

    def _check_sizes(self) -> None:
        dtypes = self._reader.get_variable_to_dtype_map()
        declared = sum(
            math.prod(shape) * dtypes[name].size
            for name, shape in self.shapes.items()
        )
        if declared > self.size:
            raise self._unreadable(
                f"Its arrays have {declared} bytes, more than the files."
            )

    def _unreadable(self, reason: str) -> CheckpointError:
        return CheckpointError(
            f"Cannot read the TensorFlow checkpoint {self.prefix!r}. {reason}"
        )
