"""The state of every random generator that a model uses.

Keras leaves it out of `.keras` files, so that a run that goes on from one
meets other noise than it would have without the interruption.
"""

import json
import pathlib

import keras
import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.npz import read_npz
from keras_convbert.compat import child_layers
from keras_convbert.compat import seed_generators
from keras_convbert.compat import set_torch_generators
from keras_convbert.compat import torch_generators
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_file
from keras_convbert.files import write_text

FILE_NAME = "random_state.npz"
GENERATOR_FILE = "generator.json"
TORCH = "torch/"


def save_random_state(model: keras.Model, directory: AnyPath) -> None:
    """Writes the state of the generators of `model` to a file in a folder."""
    arrays = {
        name: keras.ops.convert_to_numpy(generator.state)
        for name, generator in _generators(model).items()
    }
    for name, state in torch_generators().items():
        arrays[TORCH + name.replace(":", "/")] = state
    with atomic_file(pathlib.Path(directory) / FILE_NAME) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)


def load_random_state(model: keras.Model, directory: AnyPath) -> None:
    """Puts the generators of `model` into the state that was saved.

    A state of torch's generator is put back where torch is the backend; files
    written on another backend have none, and so have no effect on it.

    Raises:
        CheckpointError: if the file is damaged, or of a model with other
            generators.
    """
    path = pathlib.Path(directory) / FILE_NAME
    arrays = read_npz(path)
    torch_state = {
        name.removeprefix(TORCH).replace("/", ":"): arrays.pop(name)
        for name in [*arrays]
        if name.startswith(TORCH)
    }
    generators = _generators(model)
    if generators.keys() != arrays.keys():
        raise CheckpointError(
            f"{path} holds the state of other random generators than the "
            f"model has. Only there: {sorted(arrays.keys() - generators)}; "
            f"only in the model: {sorted(generators.keys() - arrays)}"
        )
    for name, generator in generators.items():
        if arrays[name].shape != tuple(generator.state.shape):
            raise CheckpointError(
                f"{path} holds no state for the random generator {name!r}."
            )
    try:
        set_torch_generators(torch_state)
    except (KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"{path} does not hold the state of torch's generators: {error}"
        ) from error
    for name, generator in generators.items():
        dtype = keras.backend.standardize_dtype(generator.state.dtype)
        generator.state.assign(arrays[name].astype(dtype))


def save_generator(generator: np.random.Generator, directory: AnyPath) -> None:
    """Writes the state of a NumPy generator to a file in a folder."""
    state = generator.bit_generator.state
    write_text(pathlib.Path(directory) / GENERATOR_FILE, json.dumps(state))


def load_generator(generator: np.random.Generator, directory: AnyPath) -> None:
    """Puts a NumPy generator into the state that was saved, if one was.

    Raises:
        CheckpointError: if the file does not hold the state of such one.
    """
    path = pathlib.Path(directory) / GENERATOR_FILE
    if not path.exists():
        return
    try:
        generator.bit_generator.state = read_json(path)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not hold the state of a random generator: {error}"
        ) from error


def layers_by_path(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """A model and its layers, parents first, by the names on the way to them.

    The result is the same on every backend, other than that of
    `flatten_layers`.
    """
    found: dict[str, keras.layers.Layer] = {}
    seen: set[int] = set()

    def visit(layer: keras.layers.Layer, path: str) -> None:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        found[path if path not in found else f"{path}:{len(found)}"] = layer
        for child in child_layers(layer):
            visit(child, f"{path}/{child.name}")

    visit(model, "")
    return found


def _generators(
    model: keras.Model,
) -> dict[str, keras.random.SeedGenerator]:
    return {
        f"{path}:{i}": generator
        for path, layer in layers_by_path(model).items()
        for i, generator in enumerate(seed_generators(layer))
    }
