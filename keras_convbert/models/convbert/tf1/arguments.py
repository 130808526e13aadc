"""What a checkpoint of the authors' code says of its encoder."""

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
    """The rows of an encoder, with whole names.

    Args:
        num_layers: int. Number of layers.
        body: string. Where the encoder stands in the file; the embeddings
            stand with the discriminator's, since the generator shares them.
        ours: string. What the paths of the encoder begin with.
    """
    embeddings = [
        row._replace(name=f"{names.TF1_ENCODER}{row.name}")
        for row in (WeightMapping(*entry) for entry in names.TF1_EMBEDDINGS)
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
        row._replace(name=f"{body}{row.name}", path=f"{ours}{row.path}")
        for row in layers
    ]


def tf1_arguments(
    checkpoint: Tf1Checkpoint,
    config: Config | AnyPath | None,
    body: str = names.TF1_ENCODER,
) -> dict[str, Any]:
    """Arguments of `ConvBertBackbone`: those of `config`, else from shapes.

    A `config` describes the discriminator. What is smaller in the generator
    is read from its shapes.
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
    # The heads are compared with the others, below.
    sizes = {k: v for k, v in arguments.items() if k != "num_heads"}
    check_sizes(sizes, str(checkpoint), [SIZE_RULES], checkpoint.size)
    return {**_heads(checkpoint, arguments, body), **arguments}


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


def _sizes(
    checkpoint: Tf1Checkpoint, body: str = names.TF1_ENCODER
) -> dict[str, Any]:
    """All that shapes tell, which is all but the heads and the activation."""
    grouped = f"{body}{names.TF1_GROUPED_SIZES['num_groups'][0]}"
    conv = f"{body}{names.TF1_CONV_SIZES['kernel_size'][0]}"
    places = {
        **names.TF1_SIZES,
        **(
            names.TF1_GROUPED_SIZES
            if grouped in checkpoint.shapes
            else names.TF1_DENSE_SIZES
        ),
        **(names.TF1_CONV_SIZES if conv in checkpoint.shapes else {}),
    }
    sizes = {
        name: _size(checkpoint, f"{body}{place}", axis)
        for name, (place, axis) in places.items()
    }
    sizes.update(
        (name, _size(checkpoint, f"{names.TF1_ENCODER}{place}", axis))
        for name, (place, axis) in names.TF1_EMBEDDING_SIZES.items()
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
    """The heads before the bottleneck, and its ratio.

    Kernels of the convolution tell how many heads there are after it. The
    authors always have `head_dim = hidden_dim / num_heads`; where that cannot
    be, the bottleneck is left out, which comes to the same.
    """
    place, axis = names.TF1_ALL_HEADS
    width = _size(checkpoint, f"{body}{place}", axis)
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
    place, axis = names.TF1_KERNELS
    kernels = _size(checkpoint, f"{body}{place}", axis)
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
            f"The checkpoint {checkpoint} holds no encoder of ConvBERT. "
            f"Expected an array {name!r} of at least {axis + 1} axes."
        )
    return shape[axis]
