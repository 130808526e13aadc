"""Reads and writes the weights of a Hugging Face ConvBERT."""

from collections.abc import Iterable

import keras
import keras_hub
import numpy as np

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.checkpoints.assignment import assign_arrays
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.compat import flatten_layers
from keras_convbert.layers.dtype_policies import quantized_policies
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.types import Tensor


def encoder_table(
    num_layers: int, num_groups: int, prefix: str = ""
) -> list[WeightMapping]:
    """Returns the mappings of an encoder, whose names begin with `prefix`."""
    layer = names.HF_LAYER + (
        names.HF_FEED_FORWARD
        if num_groups == 1
        else names.HF_GROUPED_FEED_FORWARD
    )
    table = [WeightMapping(*entry) for entry in names.HF_EMBEDDINGS]
    for i in range(num_layers):
        table += [
            mapping._replace(
                name=f"encoder.layer.{i}.{mapping.name}",
                path=f"transformer_layer_{i}/{mapping.path}",
            )
            for mapping in (WeightMapping(*entry) for entry in layer)
        ]
    return [
        mapping._replace(name=f"{prefix}{mapping.name}") for mapping in table
    ]


def head_table(kind: str) -> list[WeightMapping]:
    """Returns the mappings of the head of class `kind`."""
    return [WeightMapping(*entry) for entry in names.HF_HEADS[kind]]


def checkpoint_has_head(source: ArraySource, kind: str) -> bool:
    """Whether the source holds an array of the head of class `kind`."""
    return any(mapping.name in source.shapes for mapping in head_table(kind))


def assign_weights(
    source: ArraySource,
    backbone: keras_hub.models.Backbone,
    head: Iterable[keras.Variable] = (),
    kind: str | None = None,
) -> None:
    """Loads an encoder, and optionally the head of class `kind`.

    Raises:
        CheckpointError: if an array is missing, unknown, or does not fit.
    """
    prefixed = any(name.startswith(names.HF_ENCODER) for name in source.shapes)
    prefix = names.HF_ENCODER if prefixed else ""
    table = encoder_table(backbone.num_layers, backbone.num_groups, prefix)
    if kind is not None:
        table += head_table(kind)
        shape = tuple(backbone.token_embedding.embeddings.shape)
        _check_tied(source, table[0].name, shape)
    other = names.HF_IGNORED
    assign_arrays(source, [*backbone.weights, *head], table, other)


def arrays_for_transformers(
    model: keras.Model, table: Iterable[WeightMapping]
) -> dict[str, np.ndarray]:
    """Returns float32 arrays with the names and layouts of `transformers`.

    LoRA is merged into the kernels.

    Raises:
        ValueError: if the model is quantized, or has weights that `table`
            does not list.
    """
    values = _values(model)
    mappings = {
        mapping.path: mapping for mapping in table if mapping.path in values
    }
    if values.keys() - mappings.keys():
        raise ValueError(
            "Expected only weights that a Hugging Face ConvBERT has. "
            f"Received: weights={sorted(values.keys() - mappings.keys())}"
        )
    return {
        mapping.name: mapping.to_array(
            keras.ops.convert_to_numpy(values[path]).astype("float32")
        )
        for path, mapping in mappings.items()
    }


def _values(model: keras.Model) -> dict[str, Tensor]:
    quantized = [*quantized_policies(flatten_layers(model))]
    if quantized:
        raise ValueError(
            "Expected a model that is not quantized. Received: quantized "
            f"layers {quantized[:5]}"
        )
    values = {
        weight.path: weight
        for weight in model.weights
        if not weight.name.startswith("lora_")
    }
    for layer in flatten_layers(model):
        if getattr(layer, "lora_enabled", False):
            name = "kernel" if hasattr(layer, "kernel") else "embeddings"
            values[f"{layer.path}/{name}"] = getattr(layer, name)
    return values


def _check_tied(
    source: ArraySource, embeddings: str, shape: tuple[int, ...]
) -> None:
    """Raises `CheckpointError` if output and embeddings are not tied."""
    if names.HF_TIED not in source.shapes:
        return
    both = (names.HF_TIED, embeddings)
    fit = all(source.shapes.get(name) == shape for name in both)
    if not fit or (source.array(both[0]) != source.array(both[1])).any():
        raise CheckpointError(
            f"Expected {names.HF_TIED!r} to equal the word embeddings, since "
            "the output layer of a masked LM is tied. "
            f"Received: other values in {source}"
        )
