"""The state of every random generator that a model uses.

Keras leaves it out of `.keras` files, so that a run that goes on from one
meets other noise than it would have without the interruption.
"""

import pathlib

import keras
import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath
from keras_convbert.files import whole_file

FILE_NAME = "random_state.npz"
TORCH_CPU = "torch/cpu"
TORCH_CUDA = "torch/cuda/"


def save_random_state(model: keras.Model, directory: AnyPath) -> None:
    """Writes the state of the generators of `model` to a file in a folder."""
    arrays = {
        name: keras.ops.convert_to_numpy(generator.state)
        for name, generator in _generators(model).items()
    }
    arrays.update(_torch_state())
    with whole_file(pathlib.Path(directory) / FILE_NAME) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)


def load_random_state(model: keras.Model, directory: AnyPath) -> None:
    """Puts the generators of `model` into the state that was saved.

    A state of torch's generator is put back where torch is the backend; files
    written on another backend have none, and so have no effect on it.

    Raises:
        CheckpointError: if the file is of a model with other generators.
    """
    path = pathlib.Path(directory) / FILE_NAME
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    torch_state = {k: arrays.pop(k) for k in [*arrays] if "torch/" in k}
    generators = _generators(model)
    if generators.keys() != arrays.keys():
        raise CheckpointError(
            f"{path} holds the state of other random generators than the "
            f"model has. Only there: {sorted(arrays.keys() - generators)}; "
            f"only in the model: {sorted(generators.keys() - arrays)}"
        )
    for name, generator in generators.items():
        generator.state.assign(arrays[name])
    _put_torch_state(torch_state)


def _generators(
    model: keras.Model,
) -> dict[str, keras.random.SeedGenerator]:
    """By number and layer path, in the order in which layers were made.

    Paths of layers without weights need not be unique, hence the number.
    """
    found: dict[str, keras.random.SeedGenerator] = {}
    for layer in model._flatten_layers():
        for generator in getattr(layer, "_seed_generators", ()):
            found[f"{len(found):05d}/{layer.name}"] = generator
    return found


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
