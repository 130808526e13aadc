import os
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.hdf5_file import Hdf5File
from keras_convbert.compat import flatten_layers
from keras_convbert.compat import lora_layer_numbers
from keras_convbert.compat import lora_rank
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_file
from keras_convbert.types import Mixin

SUFFIX = ".lora.h5"
RANK = "lora/vars/rank"


class LoraWeights(Mixin):
    """LoRA of a backbone, with the updates stored in a small file."""

    def enable_lora(
        self, rank: int, target_layer_names: Sequence[str] | None = None
    ) -> None:
        """Freezes the backbone and adds low-rank updates to matrix products.

        Biases are frozen too. KerasHub keeps training them but does not save
        them in `save_lora_weights`. Compile the model afterwards.

        Args:
            rank: int. Rank of the updates.
            target_layer_names: sequence of strings. Names of the layers to
                update; `None` selects `query` and `value`. Defaults to `None`.
        """
        super().enable_lora(rank, target_layer_names)
        layers = _layers(self)
        for number in lora_layer_numbers(self):
            bias = getattr(layers[number], "bias", None)
            if bias is not None:
                bias.trainable = False

    def save_lora_weights(self, filepath: AnyPath) -> None:
        """Saves the low-rank updates without the base weights.

        Args:
            filepath: path of the file. It must end in `.lora.h5`.

        Raises:
            ValueError: if LoRA is not enabled, or the file has another suffix.
        """
        if not os.fspath(filepath).endswith(SUFFIX):
            raise ValueError(
                f"Expected a file that ends in {SUFFIX!r}. "
                f"Received: filepath={os.fspath(filepath)!r}"
            )
        with atomic_file(filepath) as temporary:
            super().save_lora_weights(str(temporary))

    def save_own_variables(self, store: Any) -> None:
        layers = [*filter(_is_rounded_again, flatten_layers(self))]
        if layers:
            warnings.warn(
                "Saving merges LoRA into quantized weights, which are rounded "
                "a second time: the saved model differs slightly from this "
                "one. To keep the updates as they are, call "
                "`save_lora_weights` of the backbone. Received: LoRA of rank "
                f"{lora_rank(self)} on {len(layers)} layers with "
                f"quantization_mode={layers[0].quantization_mode!r}",
                stacklevel=2,
            )
        super().save_own_variables(store)

    def load_lora_weights(self, filepath: AnyPath) -> None:
        """Loads a file of `save_lora_weights`; enables LoRA if necessary.

        An error leaves the backbone unchanged.

        Args:
            filepath: path of the file.

        Raises:
            CheckpointError: if the file is damaged, does not fit the backbone
                or its rank, or holds NaN or infinity. It is a `ValueError`.
        """
        file = Hdf5File(filepath)
        rank = _rank(file)
        layers = _layers(self)
        numbers = lora_layer_numbers(self)
        if numbers and lora_rank(self) != rank:
            raise CheckpointError(
                f"Expected {file} to have the rank of the backbone, "
                f"{lora_rank(self)}. Received: rank={rank!r}"
            )
        names = self.default_lora_layer_names()
        found = [i for i, layer in enumerate(layers) if layer.name in names]
        arrays = _arrays({i: layers[i] for i in numbers or found}, file, rank)
        if not numbers:
            self.enable_lora(rank)
        for number in lora_layer_numbers(self):
            for name in ("lora_kernel_a", "lora_kernel_b"):
                getattr(layers[number], name).assign(arrays[number, name])


def _layers(backbone: keras_hub.models.Backbone) -> list[keras.layers.Layer]:
    """Returns the layers in the numbering of KerasHub."""
    layers = flatten_layers(backbone, include_self=False)
    return [layer for layer in layers if layer.weights]


def _is_rounded_again(layer: keras.layers.Layer) -> bool:
    """Whether saving rounds the weight of a layer a second time."""
    if not getattr(layer, "lora_enabled", False):
        return False
    if layer.quantization_mode not in ("int8", "int4"):
        return False
    names = ("lora_kernel_b", "lora_embeddings_b")
    update = next(getattr(layer, n) for n in names if hasattr(layer, n))
    return bool(np.any(keras.ops.convert_to_numpy(update)))


def _rank(file: Hdf5File) -> int:
    shape = file.shapes.get(RANK)
    rank = file.array(RANK) if shape == () else None
    if not isinstance(rank, np.integer) or rank < 1:
        raise CheckpointError(
            "Expected a file that `save_lora_weights` wrote. "
            f"Received: {file}, with rank={rank}"
        )
    return int(rank)


def _arrays(
    layers: dict[int, keras.layers.Layer], file: Hdf5File, rank: int
) -> dict[tuple[int, str], np.ndarray]:
    """Returns the arrays of a file, checked against the layers."""
    wanted = {}
    for number, layer in layers.items():
        shape = tuple(layer.kernel.shape)
        wanted[number, "lora_kernel_a"] = (*shape[:-1], rank)
        wanted[number, "lora_kernel_b"] = (rank, shape[-1])
    shapes = {
        f"lora/{number}/vars/{name}": shape
        for (number, name), shape in wanted.items()
    }
    if {**shapes, RANK: ()} != file.shapes:
        differing = sorted(
            name
            for name in shapes.keys() | file.shapes.keys()
            if name != RANK and shapes.get(name) != file.shapes.get(name)
        )
        raise CheckpointError(
            f"{file} does not fit the backbone: arrays are missing, unknown or "
            f"have other shapes. Received: arrays={differing[:5]}"
        )
    arrays = {
        (number, name): file.array(f"lora/{number}/vars/{name}")
        for number, name in wanted
    }
    for (number, name), array in arrays.items():
        if not np.isfinite(np.asarray(array, "float32")).all():
            raise CheckpointError(
                f"{file} holds NaN or infinity in {name!r} of layer {number}."
            )
    return arrays
