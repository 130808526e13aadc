import os
import pathlib
from typing import Any

import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath


class Tf1Checkpoint:
    """The names, shapes and arrays of a checkpoint of TensorFlow 1.

    Arrays are read one at a time, so that the optimizer's part of a file,
    twice as large as the model's, takes no memory.

    Args:
        prefix: path. What the names of the files `….index` and
            `….data-00000-of-00001` have in common.

    Raises:
        ImportError: if TensorFlow is not installed.
        FileNotFoundError: if there is no file `….index`.
        CheckpointError: if the files cannot be read.
    """

    def __init__(self, prefix: AnyPath) -> None:
        self.prefix = os.fspath(prefix)
        index = pathlib.Path(f"{self.prefix}.index")
        if not index.is_file():
            raise FileNotFoundError(
                "Expected the prefix of a TensorFlow checkpoint, with a file "
                f"{str(index)!r}. Received: prefix={self.prefix!r}"
            )
        self._reader = self._open()
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(shape)
            for name, shape in self._reader.get_variable_to_shape_map().items()
        }

    def __str__(self) -> str:
        return repr(self.prefix)

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
            raise ImportError(
                "Reading a TensorFlow checkpoint needs TensorFlow: "
                "`pip install tensorflow`."
            ) from error
        # Whatever the reader meets in a spoilt file, it may raise anything.
        try:
            return tf.train.load_checkpoint(self.prefix)
        except Exception as error:
            raise self._unreadable(str(error)) from error

    def _unreadable(self, reason: str) -> CheckpointError:
        return CheckpointError(
            f"Cannot read the TensorFlow checkpoint {self.prefix!r}. {reason}"
        )
