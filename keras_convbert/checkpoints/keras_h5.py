"""Keras's `.weights.h5`, read whole or not at all."""

import math
import os
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import h5py
import keras
from keras import ops

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.compat import H5IOStore
from keras_convbert.compat import save_state
from keras_convbert.files import AnyPath

Layout = dict[str, tuple[tuple[int, ...], str]]
"""Path of an array in a file to its shape and dtype."""

# Groups and arrays of a file, for each array of the model: with those of an
# optimizer there are nine.
MAX_OBJECTS = 30


def load_whole(
    model: keras.Model,
    files: Iterable[AnyPath],
    load: Callable[[], Any],
    skipped: Iterable[keras.layers.Layer] = (),
    check_shapes: bool = True,
) -> None:
    """Runs `load` after a check of the files; keeps what it assigns, or none.

    Args:
        model: a `keras.Model`.
        files: iterable of paths of the files that `load` reads.
        load: function without arguments that loads the weights of `model`.
        skipped: layers that are not loaded. Defaults to `()`.
        check_shapes: bool. Whether arrays must have the shapes of variables.
            Defaults to `True`.

    Raises:
        CheckpointError: if a file is damaged, holds more than arrays of
            numbers, an array that does not fit its variable, or values that
            are not finite. The weights are those from before.
    """
    files = [os.fspath(file) for file in files]
    layout = model_layout(model, skipped)
    for file in files:
        check_h5(file, layout, check_shapes)
    with _Updates() as updates:
        try:
            load()
        except Exception as error:
            raise CheckpointError(
                f"Cannot load {', '.join(map(repr, files))}. {error}"
            ) from error
    for variable, value in updates.made:
        if not _is_finite(value):
            raise CheckpointError(
                f"{', '.join(map(repr, files))} holds values that are not "
                f"finite. Received: NaN or infinity in {variable.path!r}"
            )
    for variable, value in updates.made:
        variable.assign(value)


def model_layout(
    model: keras.Model, skipped: Iterable[keras.layers.Layer] = ()
) -> Layout:
    """What `model.save_weights` would write."""
    recorder = _Recorder()
    save_state(model, recorder, skipped)
    return recorder.layout


def check_h5(file: str, layout: Layout, check_shapes: bool = True) -> None:
    """Refuses a file that is no set of arrays as Keras writes it.

    No array is read.

    Raises:
        CheckpointError: if the file is damaged; if it has links, arrays that
            are stored elsewhere, compressed or virtual, or no numbers; if they
            are larger than the file; if one that the model has a place for has
            another shape or kind of dtype.
    """
    try:
        with h5py.File(file, "r") as opened:
            arrays = _arrays(opened, MAX_OBJECTS * (len(layout) + 10))
            size = sum(map(_check_array, arrays.values()))
            if size > os.path.getsize(file):
                raise CheckpointError(
                    f"the arrays have {size} bytes, more than the file."
                )
            if check_shapes:
                for path in arrays.keys() & layout.keys():
                    _check_fit(arrays[path], *layout[path])
    except FileNotFoundError:
        raise
    except Exception as error:
        # Whatever the library meets in a spoilt file, it may raise anything.
        raise CheckpointError(f"Cannot load {file!r}: {error}") from error


def _arrays(opened: h5py.File, max_objects: int) -> dict[str, h5py.Dataset]:
    arrays = {}
    seen = 0
    rest: list[tuple[str, h5py.Group]] = [("", opened)]
    while rest:
        path, group = rest.pop()
        for name in group:
            seen += 1
            # A group that holds itself has no end.
            if seen > max_objects:
                raise CheckpointError("it holds more than the model does.")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise CheckpointError(
                    f"{path + name!r} is a {type(link).__name__}, and leads "
                    "elsewhere."
                )
            item = group[name]
            if isinstance(item, h5py.Group):
                rest.append((f"{path}{name}/", item))
            elif isinstance(item, h5py.Dataset):
                arrays[path + name] = item
            else:
                raise CheckpointError(f"{path + name!r} is no array.")
    return arrays


def _check_array(array: h5py.Dataset) -> int:
    """The bytes of an array, if it is stored as Keras does it."""
    if array.external or array.is_virtual:
        raise CheckpointError(f"{array.name!r} is stored elsewhere.")
    if array.id.get_create_plist().get_nfilters():
        raise CheckpointError(f"{array.name!r} is compressed.")
    if array.dtype.kind not in "fiub" and _dtype(array) != "bfloat16":
        raise CheckpointError(f"{array.name!r} holds {array.dtype}.")
    if array.shape is None:
        raise CheckpointError(f"{array.name!r} is empty.")
    return math.prod(array.shape) * array.dtype.itemsize


def _check_fit(array: h5py.Dataset, shape: tuple[int, ...], dtype: str) -> None:
    if array.shape != shape:
        raise CheckpointError(
            f"{array.name!r} has the shape {array.shape} instead of {shape}."
        )
    if _is_float(_dtype(array)) != _is_float(dtype):
        raise CheckpointError(
            f"{array.name!r} is of {_dtype(array)} instead of {dtype}."
        )


def _dtype(array: h5py.Dataset) -> str:
    if "dtype" in array.attrs and array.dtype.itemsize == 2:
        return str(array.attrs["dtype"])
    return str(array.dtype)


def _is_float(dtype: str) -> bool:
    return "float" in dtype


def _is_finite(value: Any) -> bool:
    dtype = keras.backend.standardize_dtype(value.dtype)
    if not _is_float(dtype):
        return True
    if dtype.startswith("float8"):
        value = ops.cast(value, "float32")
    return bool(ops.all(ops.isfinite(value)))


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


class _Updates(keras.StatelessScope):
    """Within it nothing is assigned; it tells what would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[keras.Variable, Any]] = []

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        super().add_update(update)
        self.made.append(update)
