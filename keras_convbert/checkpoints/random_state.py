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
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_file
from keras_convbert.files import write_text

FILE_NAME = "random_state.npz"
GENERATOR_FILE = "generator.json"
TORCH_CPU = "torch/cpu"
TORCH_CUDA = "torch/cuda/"


def save_random_state(model: keras.Model, directory: AnyPath) -> None:
    """Writes the state of the generators of `model` to a file in a folder."""
    arrays = {
        name: keras.ops.convert_to_numpy(generator.state)
        for name, generator in _generators(model).items()
    }
    arrays.update(_torch_state())
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
        name: arrays.pop(name)
        for name in [*arrays]
        if name.startswith("torch/")
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
        _put_torch_state(torch_state)
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

    It is the same on every backend. Which attributes Keras takes for layers
    depends on it, and so does `_flatten_layers`; what is in a functional graph
    does not.
    """
    found: dict[str, keras.layers.Layer] = {}
    seen: set[int] = set()

    def visit(layer: keras.layers.Layer, path: str) -> None:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        found[path if path not in found else f"{path}:{len(found)}"] = layer
        is_model = isinstance(layer, keras.Model)
        for child in layer.layers if is_model else layer._layers:
            visit(child, f"{path}/{child.name}")

    visit(model, "")
    return found


def _generators(
    model: keras.Model,
) -> dict[str, keras.random.SeedGenerator]:
    return {
        f"{path}:{i}": generator
        for path, layer in layers_by_path(model).items()
        for i, generator in enumerate(getattr(layer, "_seed_generators", ()))
    }


def _torch_state() -> dict[str, np.ndarray]:
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = {TORCH_CPU: torch.get_rng_state().numpy()}
    if torch.cuda.is_available():
        for i, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"{TORCH_CUDA}{i}"] = state.numpy()
    return states


def _put_torch_state(states: dict[str, np.ndarray]) -> None:
    if keras.backend.backend() != "torch" or not states:
        return
    import torch

    torch.set_rng_state(torch.from_numpy(states[TORCH_CPU]))
    for i in range(torch.cuda.device_count()):
        if f"{TORCH_CUDA}{i}" in states:
            state = torch.from_numpy(states[f"{TORCH_CUDA}{i}"])
            torch.cuda.set_rng_state(state, i)
