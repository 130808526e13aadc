"""Saves and loads the states of the random generators that a model uses.

Keras leaves them out of `.keras` files. Without them, training that resumes
from such a file would draw other random numbers than an uninterrupted run.
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
    """Writes the states of the generators of `model` to a file in a folder."""
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
    """Sets the generators of `model` to their saved states.

    On PyTorch its global generators are set too, if the file was written on
    PyTorch.

    Raises:
        CheckpointError: if the file is damaged, or if its model has other
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
            "model has. Only in the file: "
            f"{sorted(arrays.keys() - generators)}; only in the model: "
            f"{sorted(generators.keys() - arrays)}"
        )
    for name, generator in generators.items():
        if arrays[name].shape != tuple(generator.state.shape):
            raise CheckpointError(
                f"{path} holds no valid state for the generator {name!r}."
            )
    try:
        set_torch_generators(torch_state)
    except (KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"{path} holds no valid state for the PyTorch generators: {error}"
        ) from error
    for name, generator in generators.items():
        dtype = keras.backend.standardize_dtype(generator.state.dtype)
        generator.state.assign(arrays[name].astype(dtype))


def save_generator(generator: np.random.Generator, directory: AnyPath) -> None:
    """Writes the state of a NumPy generator to a file in a folder."""
    state = generator.bit_generator.state
    write_text(pathlib.Path(directory) / GENERATOR_FILE, json.dumps(state))


def load_generator(generator: np.random.Generator, directory: AnyPath) -> None:
    """Sets a NumPy generator to its saved state, if there is one.

    Raises:
        CheckpointError: if the file does not contain such a state.
    """
    path = pathlib.Path(directory) / GENERATOR_FILE
    if not path.exists():
        return
    try:
        generator.bit_generator.state = read_json(path)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} holds no valid state for a random generator: {error}"
        ) from error


def layers_by_path(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns a model and its layers by path, parents first.

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
