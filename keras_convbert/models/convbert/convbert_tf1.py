"""What a checkpoint of the authors' code says of its encoder."""

import re
from typing import Any

from keras_convbert.checkpoints.assignment import Row
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.tf1 import Tf1Checkpoint
from keras_convbert.files import AnyPath
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.convbert import convbert_weight_names as names
from keras_convbert.models.convbert.size_limits import check_sizes
from keras_convbert.types import Config


def tf1_table(num_layers: int) -> list[Row]:
    """The rows of an encoder, with whole names."""
    table: list[Row] = [*names.TF1_EMBEDDINGS]
    for i in range(num_layers):
        table += [
            (
                f"encoder/layer_{i}/{theirs}",
                f"transformer_layer_{i}/{ours}",
                axes,
            )
            for theirs, ours, axes in names.TF1_LAYER
        ]
    return [
        (f"{names.TF1_ENCODER}{theirs}", ours, axes)
        for theirs, ours, axes in table
    ]


def tf1_arguments(
    checkpoint: Tf1Checkpoint, config: Config | AnyPath | None
) -> dict[str, Any]:
    """Arguments of `ConvBertBackbone`: those of `config`, else from shapes."""
    given = _flat(config)
    arguments = _sizes(checkpoint)
    arguments.update(
        (ours, given[theirs])
        for theirs, ours in names.TF1_ARGUMENTS.items()
        if given.get(theirs) is not None
    )
    if "conv_type" in given:
        arguments["conv"] = given["conv_type"] != "noconv"
    # The heads are compared with the others, below.
    sizes = {k: v for k, v in arguments.items() if k != "num_heads"}
    check_sizes(sizes, str(checkpoint), checkpoint.size)
    return {**_heads(checkpoint, arguments), **arguments}


def _flat(config: Config | AnyPath | None) -> Config:
    """One dict of the authors' names."""
    if config is None:
        return {}
    if not isinstance(config, dict):
        config = read_json(config)
    inner = config.get("config", {})
    if not isinstance(inner, dict):
        raise CheckpointError(
            "Expected the part `config` of a checkpoint's config to be a dict. "
            f"Received: config={inner!r}"
        )
    return {**config, **inner}


def _sizes(checkpoint: Tf1Checkpoint) -> dict[str, Any]:
    """All that shapes tell, which is all but the heads and the activation."""
    grouped = _has(checkpoint, *names.TF1_GROUPED_SIZES["num_groups"])
    conv = _has(checkpoint, *names.TF1_CONV_SIZES["kernel_size"])
    places = {
        **names.TF1_SIZES,
        **(names.TF1_GROUPED_SIZES if grouped else names.TF1_DENSE_SIZES),
        **(names.TF1_CONV_SIZES if conv else {}),
    }
    sizes = {name: _size(checkpoint, *place) for name, place in places.items()}
    pattern = re.compile(rf"{names.TF1_ENCODER}encoder/layer_(\d+)/")
    layers = [
        int(found[1])
        for found in map(pattern.match, checkpoint.shapes)
        if found
    ]
    return {**sizes, "num_layers": max(layers) + 1, "conv": conv}


def _heads(
    checkpoint: Tf1Checkpoint, arguments: dict[str, Any]
) -> dict[str, Any]:
    """The heads before the bottleneck, and its ratio.

    Kernels of the convolution tell how many heads there are after it. The
    authors always have `head_dim = hidden_dim / num_heads`; where that cannot
    be, the bottleneck is left out, which comes to the same.
    """
    width = _size(checkpoint, *names.TF1_ALL_HEADS)
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
            'heads".'
        )
    kernels = _size(checkpoint, *names.TF1_KERNELS)
    heads = max(1, kernels // arguments["kernel_size"])
    head_dim = max(1, width // heads)
    num_heads, rest = divmod(hidden_dim, head_dim)
    ratio = max(1, num_heads // heads)
    if rest or num_heads // ratio != heads:
        return {"num_heads": heads, "head_ratio": 1, "head_dim": head_dim}
    return {"num_heads": num_heads, "head_ratio": ratio}


def _has(checkpoint: Tf1Checkpoint, name: str, axis: int) -> bool:
    return f"{names.TF1_ENCODER}{name}" in checkpoint.shapes


def _size(checkpoint: Tf1Checkpoint, name: str, axis: int) -> int:
    name = f"{names.TF1_ENCODER}{name}"
    shape = checkpoint.shapes.get(name, ())
    if axis >= len(shape):
        raise CheckpointError(
            f"The checkpoint {checkpoint} holds no encoder of ConvBERT. "
            f"Expected an array {name!r} of at least {axis + 1} axes."
        )
    return shape[axis]
