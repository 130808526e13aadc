"""Keras's `.weights.h5`, read whole or not at all."""

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

# Groups and arrays of a file, for each array of the model: with those of an
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
    """Runs `load` once all that it will read is known to fit.

    The arrays are read twice: to keep the old ones would take memory.

    Args:
        model: a `keras.Model`.
        files: iterable of paths of the files that `load` reads.
        load: function without arguments that loads the weights of `model`.
        skipped: layers that are not loaded. Defaults to `()`.
        skip_mismatch: bool. Whether `load` passes over arrays that do not fit.
            Defaults to `False`.
        weight_map: dict of groups to the names of the files they are in, as
            an index of shards has it. Defaults to `None`.

    Raises:
        CheckpointError: if a file is damaged, holds anything but arrays of
            numbers, lacks arrays of the model or has others for it, or holds
            values that are not finite. Nothing is loaded then.
    """
    names = [os.fspath(file) for file in files]
    listed = ", ".join(map(repr, names))
    skipped = list(skipped)
    layout = model_layout(model, skipped)
    places = model_layout(model) if skipped else layout
    try:
        with contextlib.ExitStack() as stack:
            arrays: Arrays = {}
            for name in names:
                file = stack.enter_context(h5py.File(name, "r"))
                found = _checked_arrays(file, name, layout)
                if arrays.keys() & found.keys():
                    raise CheckpointError("they hold an array twice.")
                arrays.update(found)
            layout = _without_other_optimizer(layout, arrays)
            if not skip_mismatch:
                _check_fit(arrays, layout, places)
            if weight_map is not None:
                _check_places(arrays, layout, weight_map)
            for path in arrays.keys() & layout.keys():
                if arrays[path].shape == layout[path][0]:
                    _check_values(arrays[path])
        load()
    except FileNotFoundError:
        raise
    except Exception as error:
        # Whatever the library meets in a spoilt file, it may raise anything.
        raise CheckpointError(f"Cannot load {listed}: {error}") from error


def model_layout(
    model: keras.Model, skipped: Iterable[keras.layers.Layer] = ()
) -> Layout:
    """What `model.save_weights` would write."""
    recorder = _Recorder()
    save_state(model, recorder, skipped)
    return recorder.layout


def _checked_arrays(opened: h5py.File, name: str, layout: Layout) -> Arrays:
    """The arrays of a file, if it is one that Keras may have written.

    Nothing of an array is read.
    """
    arrays = hdf5_arrays(opened, MAX_OBJECTS * (len(layout) + 10))
    size = sum(map(_check_array, arrays.values()))
    if size > os.path.getsize(name):
        raise CheckpointError(
            f"its arrays have {size} bytes, more than the file."
        )
    return arrays


def _check_array(array: h5py.Dataset) -> int:
    """The bytes of an array, if it is stored as Keras does it."""
    if array.id.get_create_plist().get_nfilters():
        raise CheckpointError(f"{array.name!r} is compressed.")
    if array.dtype.kind not in "fiub" and _dtype(array) != "bfloat16":
        raise CheckpointError(f"{array.name!r} holds {array.dtype}.")
    if array.shape is None:
        raise CheckpointError(f"{array.name!r} is empty.")
    return _size(array)


def _without_other_optimizer(layout: Layout, arrays: Arrays) -> Layout:
    """`layout` less the groups of an optimizer that Keras will pass over.

    It loads all of them or, with a warning, nothing.
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


def _check_fit(arrays: Arrays, layout: Layout, places: Layout) -> None:
    """Refuses what Keras would not load, or only in part."""
    for path in sorted(arrays.keys() - places.keys()):
        # An optimizer's are of the training.
        if not path.startswith("optimizer/"):
            raise CheckpointError(f"the model has no place for {path!r}.")
    for path, (shape, dtype) in layout.items():
        if path not in arrays:
            raise CheckpointError(f"it lacks {path!r}.")
        array = arrays[path]
        if array.shape != shape:
            raise CheckpointError(
                f"{path!r} has the shape {array.shape} instead of {shape}."
            )
        if _is_float(_dtype(array)) != _is_float(dtype):
            raise CheckpointError(
                f"{path!r} is of {_dtype(array)} instead of {dtype}."
            )


def _check_places(
    arrays: Arrays, layout: Layout, weight_map: Mapping[str, Any]
) -> None:
    """Refuses an index that says of an array that it is elsewhere."""
    for path in arrays.keys() & layout.keys():
        names = weight_map.get(f"/{_group(path)}")
        name = os.path.basename(arrays[path].file.filename)
        if name not in (names if isinstance(names, list) else [names]):
            raise CheckpointError(f"the index has not {path!r} in {name!r}.")


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
    """Takes down what it is told to write."""

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
