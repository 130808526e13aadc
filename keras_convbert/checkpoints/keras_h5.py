"""Validates Keras `.weights.h5` files before they are loaded."""

import contextlib
import math
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import h5py
import keras
import ml_dtypes
import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.hdf5_arrays import hdf5_arrays
from keras_convbert.compat import H5IOStore
from keras_convbert.compat import save_state
from keras_convbert.files import AnyPath

Layout = dict[str, tuple[tuple[int, ...], str]]
"""Path of an array in a file to its shape and dtype."""

Arrays = dict[str, h5py.Dataset]

# Maximum number of groups and arrays in a file per array of the model. With an
# optimizer there are nine.
MAX_OBJECTS = 30


def load_validated(
    model: keras.Model,
    files: Iterable[AnyPath],
    load: Callable[[], Any],
    skipped: Iterable[keras.layers.Layer] = (),
    skip_mismatch: bool = False,
    weight_map: Mapping[str, Any] | None = None,
) -> None:
    """Runs `load` after checking everything that it will read.

    The arrays are read twice: keeping the old values would take memory.

    Args:
        model: a `keras.Model`.
        files: iterable of paths of the files that `load` reads.
        load: function without arguments that loads the weights of `model`.
        skipped: iterable of layers that are not loaded. Defaults to `()`.
        skip_mismatch: bool. Whether `load` skips arrays that do not fit.
            Defaults to `False`.
        weight_map: dict from groups to the names of their files, from a shard
            index. Defaults to `None`.

    Raises:
        CheckpointError: if a file is damaged or contains anything but arrays
            of numbers; if arrays of the model are missing, unknown or of
            another shape; if values are not finite. Nothing is loaded then.
    """
    names = [os.fspath(file) for file in files]
    listed = ", ".join(map(repr, names))
    skipped = list(skipped)
    layout = model_layout(model, skipped)
    whole_layout = model_layout(model) if skipped else layout
    try:
        with contextlib.ExitStack() as stack:
            arrays: Arrays = {}
            for name in names:
                file = stack.enter_context(h5py.File(name, "r"))
                found = _checked_arrays(file, name, layout)
                if arrays.keys() & found.keys():
                    raise CheckpointError("two of them contain the same array.")
                arrays.update(found)
            layout = _without_other_optimizer(layout, arrays)
            if not skip_mismatch:
                _check_fit(arrays, layout, whole_layout)
            if weight_map is not None:
                _check_index(arrays, layout, weight_map)
            for path in arrays.keys() & layout.keys():
                if arrays[path].shape == layout[path][0]:
                    _check_values(arrays[path])
        load()
    except FileNotFoundError:
        raise
    except Exception as error:
        # HDF5 may raise any exception on a damaged file.
        raise CheckpointError(f"Cannot load {listed}: {error}") from error


def model_layout(
    model: keras.Model, skipped: Iterable[keras.layers.Layer] = ()
) -> Layout:
    """Returns the layout of what `model.save_weights` would write."""
    recorder = _Recorder()
    save_state(model, recorder, skipped)
    return recorder.layout


def _checked_arrays(opened: h5py.File, name: str, layout: Layout) -> Arrays:
    """Returns the arrays of a file, if Keras may have written it.

    No values are read.
    """
    arrays = hdf5_arrays(opened, MAX_OBJECTS * (len(layout) + 10))
    size = sum(map(_check_array, arrays.values()))
    if size > os.path.getsize(name):
        raise CheckpointError(
            f"its arrays have {size} bytes, more than the file."
        )
    return arrays


def _check_array(array: h5py.Dataset) -> int:
    """Returns the bytes of an array, if it is stored as Keras stores it."""
    if array.id.get_create_plist().get_nfilters():
        raise CheckpointError(f"{array.name!r} is compressed.")
    if array.dtype.kind not in "fiub" and _dtype(array) != "bfloat16":
        raise CheckpointError(f"{array.name!r} holds {array.dtype}.")
    if array.shape is None:
        raise CheckpointError(f"{array.name!r} is empty.")
    return _size(array)


def _without_other_optimizer(layout: Layout, arrays: Arrays) -> Layout:
    """Returns `layout` without optimizer groups that Keras will skip.

    Keras loads a group with the same number of arrays. It skips any other
    group with a warning.
    """
    groups = {_group(path) for path in layout if path.startswith("optimizer/")}
    other = {
        group
        for group in groups
        if sum(_group(path) == group for path in arrays)
        != sum(_group(path) == group for path in layout)
    }
    return {
        path: wanted
        for path, wanted in layout.items()
        if _group(path) not in other
    }


def _check_fit(arrays: Arrays, layout: Layout, whole_layout: Layout) -> None:
    """Refuses files that Keras would skip, or load in part."""
    for path in sorted(arrays.keys() - whole_layout.keys()):
        # A file may have an optimizer that the model does not have.
        if not path.startswith("optimizer/"):
            raise CheckpointError(f"the model has no variable for {path!r}.")
    for path, (shape, dtype) in layout.items():
        if path not in arrays:
            raise CheckpointError(f"it lacks {path!r}.")
        array = arrays[path]
        if array.shape != shape:
            raise CheckpointError(
                f"{path!r} has shape {array.shape} instead of {shape}."
            )
        if _is_float(_dtype(array)) != _is_float(dtype):
            raise CheckpointError(
                f"{path!r} has dtype {_dtype(array)} instead of {dtype}."
            )


def _check_index(
    arrays: Arrays, layout: Layout, weight_map: Mapping[str, Any]
) -> None:
    """Refuses an index that lists an array in another file."""
    for path in arrays.keys() & layout.keys():
        names = weight_map.get(f"/{_group(path)}")
        name = os.path.basename(arrays[path].file.filename)
        if name not in (names if isinstance(names, list) else [names]):
            raise CheckpointError(
                f"the index does not list {path!r} in {name!r}."
            )


def _group(path: str) -> str:
    return path.rpartition("/")[0]


def _size(array: h5py.Dataset) -> int:
    return math.prod(array.shape) * array.dtype.itemsize


def _check_values(array: h5py.Dataset) -> None:
    if array.id.get_storage_size() < _size(array):
        raise CheckpointError(f"{array.name!r} was not written.")
    dtype = _dtype(array)
    as_stored = ml_dtypes.bfloat16 if dtype == "bfloat16" else array.dtype
    values = np.array(array, dtype=as_stored)
    if _is_float(dtype) and not np.isfinite(values).all():
        raise CheckpointError(f"{array.name!r} holds NaN or infinity.")


def _dtype(array: h5py.Dataset) -> str:
    if "dtype" in array.attrs and array.dtype.itemsize == 2:
        return str(array.attrs["dtype"])
    return str(array.dtype)


def _is_float(dtype: str) -> bool:
    return "float" in dtype


class _Recorder(H5IOStore):
    """A store that records shapes and dtypes, and writes nothing."""

    def __init__(self) -> None:
        self.layout: Layout = {}
        self._prefix = ""

    def __bool__(self) -> bool:
        return True

    def make(self, path: str, metadata: Any = None) -> "_Recorder":
        self._prefix = f"{path}/vars/" if path else "vars/"
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        dtype = keras.backend.standardize_dtype(value.dtype)
        self.layout[self._prefix + key] = (tuple(value.shape), dtype)
