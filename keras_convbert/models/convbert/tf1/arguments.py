"""Reads the encoder arguments from a checkpoint of the authors."""

import re
from typing import Any

from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.tf1 import Tf1Checkpoint
from keras_convbert.files import AnyPath
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.convbert.convbert_sizes import SIZE_RULES
from keras_convbert.models.convbert.tf1 import weight_names as names
from keras_convbert.models.presets.size_limits import check_sizes
from keras_convbert.types import Config


def tf1_table(
    num_layers: int, body: str = names.TF1_ENCODER, ours: str = ""
) -> list[WeightMapping]:
    """Returns the mappings of an encoder, with full names.

    Args:
        num_layers: int. Number of layers.
        body: string. Prefix of the encoder in the file. The embeddings always
            have the prefix of the discriminator, since the generator shares
            them. Defaults to `"electra/"`.
        ours: string. Prefix of the variable paths. Defaults to `""`.
    """
    embeddings = [
        mapping._replace(name=f"{names.TF1_ENCODER}{mapping.name}")
        for mapping in (WeightMapping(*entry) for entry in names.TF1_EMBEDDINGS)
    ]
    layers = [WeightMapping(*entry) for entry in names.TF1_PROJECTION]
    layers += [
        WeightMapping(
            f"encoder/layer_{i}/{theirs}", f"transformer_layer_{i}/{path}", axes
        )
        for i in range(num_layers)
        for theirs, path, axes in names.TF1_LAYER
    ]
    return embeddings + [
        mapping._replace(
            name=f"{body}{mapping.name}", path=f"{ours}{mapping.path}"
        )
        for mapping in layers
    ]


def tf1_arguments(
    checkpoint: Tf1Checkpoint,
    config: Config | AnyPath | None,
    body: str = names.TF1_ENCODER,
) -> dict[str, Any]:
    """Returns the arguments of `ConvBertBackbone` for a checkpoint.

    They are read from `config`, which describes the discriminator, and
    otherwise from array shapes. The smaller sizes of the generator are always
    read from shapes.
    """
    given = _flat(config)
    arguments = _sizes(checkpoint, body)
    if body != names.TF1_ENCODER:
        scale = arguments["hidden_dim"] / _sizes(checkpoint)["hidden_dim"]
        heads = given.get("num_attention_heads")
        smaller = ("hidden_size", "intermediate_size")
        given = {k: v for k, v in given.items() if k not in smaller}
        if heads is not None:
            given["num_attention_heads"] = max(1, int(heads * scale))
    arguments.update(
        (ours, given[theirs])
        for theirs, ours in names.TF1_ARGUMENTS.items()
        if given.get(theirs) is not None
    )
    if "conv_type" in given:
        arguments["conv"] = given["conv_type"] != "noconv"
    # `_heads` checks the number of heads.
    sizes = {k: v for k, v in arguments.items() if k != "num_heads"}
    check_sizes(sizes, checkpoint.prefix, [SIZE_RULES], checkpoint.size)
    return {**_heads(checkpoint, arguments, body), **arguments}


def _flat(config: Config | AnyPath | None) -> Config:
    """Returns a flat dict with the argument names of the authors."""
    if config is None:
        return {}
    if not isinstance(config, dict):
        config = read_json(config)
    inner = config.get("config", {})
    if not isinstance(inner, dict):
        raise CheckpointError(
            "Expected the entry `config` of a checkpoint config to be a dict. "
            f"Received: config={inner!r}"
        )
    return {**config, **inner}


def _sizes(
    checkpoint: Tf1Checkpoint, body: str = names.TF1_ENCODER
) -> dict[str, Any]:
    """Returns the arguments that shapes define: no heads, no activation."""
    grouped = f"{body}{names.TF1_GROUPED_SIZES['num_groups'][0]}"
    conv = f"{body}{names.TF1_CONV_SIZES['kernel_size'][0]}"
    arrays = {
        **names.TF1_SIZES,
        **(
            names.TF1_GROUPED_SIZES
            if grouped in checkpoint.shapes
            else names.TF1_DENSE_SIZES
        ),
        **(names.TF1_CONV_SIZES if conv in checkpoint.shapes else {}),
    }
    sizes = {
        name: _size(checkpoint, f"{body}{array}", axis)
        for name, (array, axis) in arrays.items()
    }
    sizes.update(
        (name, _size(checkpoint, f"{names.TF1_ENCODER}{array}", axis))
        for name, (array, axis) in names.TF1_EMBEDDING_SIZES.items()
    )
    pattern = re.compile(rf"{body}encoder/layer_(\d+)/")
    layers = [
        int(found[1])
        for found in map(pattern.match, checkpoint.shapes)
        if found
    ]
    return {
        **sizes,
        "num_layers": max(layers) + 1,
        "conv": conv in checkpoint.shapes,
    }


def _heads(
    checkpoint: Tf1Checkpoint, arguments: dict[str, Any], body: str
) -> dict[str, Any]:
    """Returns the number of heads before the bottleneck, and its ratio.

    The convolution kernels give the number of heads after the bottleneck. The
    authors always use `head_dim = hidden_dim / num_heads`. If no such
    `num_heads` exists, the result has `head_ratio=1` and the same heads.
    """
    array, axis = names.TF1_ALL_HEADS
    width = _size(checkpoint, f"{body}{array}", axis)
    hidden_dim = arguments["hidden_dim"]
    if "num_heads" in arguments:
        num_heads = arguments["num_heads"]
        check_positive_integers(num_attention_heads=num_heads)
        heads = max(1, width * num_heads // hidden_dim)
        return {"head_ratio": max(1, num_heads // heads)}
    if not arguments["conv"]:
        raise ValueError(
            "The number of heads cannot be read from the shapes of an encoder "
            'without convolution. Expected `config` to hold "num_attention_'
            f'heads". Received: checkpoint={checkpoint}'
        )
    array, axis = names.TF1_KERNELS
    kernels = _size(checkpoint, f"{body}{array}", axis)
    heads = max(1, kernels // arguments["kernel_size"])
    head_dim = max(1, width // heads)
    num_heads, rest = divmod(hidden_dim, head_dim)
    ratio = max(1, num_heads // heads)
    if rest or num_heads // ratio != heads:
        return {"num_heads": heads, "head_ratio": 1, "head_dim": head_dim}
    return {"num_heads": num_heads, "head_ratio": ratio}


def _size(checkpoint: Tf1Checkpoint, name: str, axis: int) -> int:
    shape = checkpoint.shapes.get(name, ())
    if axis >= len(shape):
        raise CheckpointError(
            f"Expected a ConvBERT encoder with an array {name!r} of at least "
            f"{axis + 1} axes. Received: checkpoint {checkpoint} with "
            f"shape={shape}"
        )
    return shape[axis]
