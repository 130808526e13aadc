import os
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath


class TorchFiles:
    """The names, shapes and arrays of one or more `torch.save` files.

    They are read with `weights_only=True`, so that no code in them runs.

    Args:
        paths: sequence of paths. Each file must contain a dict of tensors;
            their names must be unique.

    Raises:
        ImportError: if torch is not installed.
        CheckpointError: if a file cannot be read, or contains anything else.
    """

    def __init__(self, paths: Sequence[AnyPath]) -> None:
        self.paths = [os.fspath(path) for path in paths]
        self.size = sum(map(os.path.getsize, self.paths))
        self._tensors: dict[str, Any] = {}
        for path in self.paths:
            self._tensors.update(_tensors(path))
        self.shapes = {
            name: tuple(tensor.shape) for name, tensor in self._tensors.items()
        }

    def __str__(self) -> str:
        return repr(", ".join(self.paths))

    def array(self, name: str) -> np.ndarray:
        """Reads the array called `name`; floats become float32."""
        tensor = self._tensors[name].detach()
        if tensor.is_floating_point():
            # NumPy has no bfloat16.
            tensor = tensor.float()
        return tensor.numpy()


def _tensors(path: str) -> dict[str, Any]:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading a PyTorch file needs torch: `pip install torch`."
        ) from error
    try:
        # Only the zip format, of torch 1.6 and later, can be memory-mapped.
        loaded = torch.load(
            path,
            map_location="cpu",
            weights_only=True,
            mmap=zipfile.is_zipfile(path),
        )
    except Exception as error:
        raise CheckpointError(
            f"Cannot read the PyTorch file {path!r}. {error}"
        ) from error
    is_dict = isinstance(loaded, dict)
    if not is_dict or not all(map(torch.is_tensor, loaded.values())):
        raise CheckpointError(
            f"Expected the PyTorch file {path!r} to hold a dict of tensors. "
            f"Received: {type(loaded).__name__}"
        )
    return loaded
