"""A folder of checkpoints, of which at least one is complete."""

import errno
import json
import math
import os
import pathlib
import re
import shutil
import warnings
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import keras
import ml_dtypes
import numpy as np

from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder
from keras_convbert.files import hash_file
from keras_convbert.files import remove_leftovers
from keras_convbert.training.plain_state import Arrays
from keras_convbert.types import Config

STATE = "state.json"
ARRAYS = "arrays.npy"
MANIFEST = "manifest.json"
NAME = re.compile(r"step-\d{10}(-finished)?")
# Room for one more checkpoint, and for other writers in the meantime.
FREE_SPACE = 2.2


class BackupFolder:
    """Folders `step-<number>`, and `step-<number>-finished` after the last.

    Each is written under a temporary name, hashed, flushed and renamed. Then
    older ones are removed.
    """

    def __init__(self, directory: AnyPath, keep: int) -> None:
        self.path = pathlib.Path(directory)
        self.keep = keep
        self._damaged: set[str] = set()

    def clean(self) -> None:
        """Removes the remains of interrupted writes.

        Nothing else may write to the folder.
        """
        hidden = [entry.name[1:] for entry in self.path.glob(".step-*")]
        for name in {match[0] for match in map(NAME.match, hidden) if match}:
            # A folder that was set aside moves back.
            remove_leftovers(self.path / name)
        for entry in self.path.glob(".step-*"):
            shutil.rmtree(entry, ignore_errors=True)

    def names(self) -> list[str]:
        """Returns the names of the checkpoints, newest first."""
        if not self.path.is_dir():
            return []
        found = [e.name for e in self.path.iterdir() if NAME.fullmatch(e.name)]
        return sorted(found, reverse=True)

    def save(
        self,
        step: int,
        finished: bool,
        state: Config,
        arrays: Mapping[str, Any],
    ) -> None:
        """Writes a checkpoint, then removes old ones.

        Args:
            step: int. Number of the step.
            finished: bool. Whether training has ended.
            state: dict. It must be JSON-serializable.
            arrays: dict of names to variables or NumPy arrays.

        Raises:
            OSError: if too little space is free. Older checkpoints are
                unchanged.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._check_space(sum(map(_bytes, arrays.values())))
        name = f"step-{step:010d}" + ("-finished" if finished else "")
        with atomic_folder(self.path / name, overwrite=True) as folder:
            dtypes = _write_arrays(folder / ARRAYS, arrays)
            text = json.dumps({"state": state, "arrays": dtypes})
            (folder / STATE).write_text(text, encoding="utf-8")
            hashes = {
                file: hash_file(folder / file) for file in (ARRAYS, STATE)
            }
            (folder / MANIFEST).write_text(json.dumps(hashes), "utf-8")
        self._damaged.discard(name)
        self._drop_old()

    def undamaged(self) -> Iterator[tuple[str, Config, Arrays]]:
        """Yields name, state and arrays of the undamaged checkpoints.

        The newest comes first. A warning names each damaged one.

        Raises:
            ValueError: if there are checkpoints, and all are damaged.
        """
        names = self.names()
        for name in names:
            try:
                yield name, *_read(self.path / name)
            except (OSError, ValueError, KeyError) as error:
                self._damaged.add(name)
                warnings.warn(
                    f"The checkpoint {os.fspath(self.path / name)!r} is "
                    f"damaged, the one before it is used: {error}",
                    stacklevel=2,
                )
        if names and self._damaged.issuperset(names):
            raise ValueError(
                f"Every checkpoint in {os.fspath(self.path)!r} is damaged: "
                f"{names}. Remove them to train from the beginning."
            )

    def _drop_old(self) -> None:
        kept = [n for n in self.names() if n not in self._damaged][: self.keep]
        for name in self.names():
            if name not in kept:
                # Renamed first, so that a crash leaves no incomplete one.
                aside = self.path / f".{name}"
                shutil.rmtree(aside, ignore_errors=True)
                os.replace(self.path / name, aside)
                shutil.rmtree(aside, ignore_errors=True)

    def _check_space(self, size: int) -> None:
        free = shutil.disk_usage(self.path).free
        if free < FREE_SPACE * size:
            raise OSError(
                errno.ENOSPC,
                f"Expected {FREE_SPACE} times the {size} bytes of a "
                f"checkpoint to be free. Received: {free} bytes free",
                os.fspath(self.path),
            )


def _bytes(array: Any) -> int:
    dtype = keras.backend.standardize_dtype(array.dtype)
    return math.prod(array.shape) * np.dtype(dtype).itemsize


def _write_arrays(
    path: pathlib.Path, arrays: Mapping[str, Any]
) -> dict[str, str]:
    """Writes arrays one after the other; returns their Keras dtypes."""
    dtypes = {}
    with open(path, "wb") as file:
        for name, value in arrays.items():
            array = np.asarray(
                value
                if isinstance(value, np.ndarray)
                else keras.ops.convert_to_numpy(value)
            )
            dtypes[name] = array.dtype.name
            if array.dtype.kind == "V":
                # NumPy files have no `bfloat16`, `float8_e4m3fn`, ….
                array = array.view(f"u{array.dtype.itemsize}")
            np.save(file, array, allow_pickle=False)
    return dtypes


def _read(folder: pathlib.Path) -> tuple[Config, Arrays]:
    hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for file in (ARRAYS, STATE):
        if hash_file(folder / file) != hashes[file]:
            raise ValueError(f"{file!r} has changed since it was written.")
    content = json.loads((folder / STATE).read_text(encoding="utf-8"))
    arrays = {}
    with open(folder / ARRAYS, "rb") as opened:
        for name, dtype in content["arrays"].items():
            array = np.load(opened, allow_pickle=False)
            arrays[name] = array.view(getattr(ml_dtypes, dtype, array.dtype))
    return content["state"], arrays
