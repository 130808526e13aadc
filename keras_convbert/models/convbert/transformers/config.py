"""The Hugging Face `ConvBertConfig` and arguments of `ConvBertBackbone`."""

from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models.convbert.convbert_sizes import SIZE_RULES
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.presets.size_limits import check_sizes
from keras_convbert.types import Config

QUERY = "encoder.layer.0.attention.self.query.bias"


def backbone_arguments(
    config: Config, source: ArraySource | None
) -> dict[str, Any]:
    """Arguments of the backbone that `config` describes.

    Args:
        config: dict, the content of `config.json`.
        source: `ArraySource` of the weights, which tells by which rule the
            width of a head was chosen; `config` does not. `None` takes the
            current rule.

    Raises:
        ValueError: if a setting cannot be represented.
        CheckpointError: if the heads in `source` follow no known rule, or
            the sizes are too large for its arrays.
    """
    if config.get("is_decoder") or config.get("add_cross_attention"):
        raise ValueError(
            "Expected an encoder. Received: a decoder, whose convolution would "
            "see later tokens (is_decoder or add_cross_attention)"
        )
    arguments = dict(names.HF_DEFAULTS)
    for table in (names.HF_OLDER_ARGUMENTS, names.HF_ARGUMENTS):
        arguments.update(
            (ours, config[theirs])
            for theirs, ours in table.items()
            if theirs in config
        )
    activation = arguments["activation"]
    if activation not in names.HF_ACTIVATIONS:
        raise ValueError(
            "Expected `hidden_act` to be one of "
            f"{sorted(names.HF_ACTIVATIONS)}. "
            f"Received: hidden_act={activation!r}"
        )
    arguments["activation"] = names.HF_ACTIVATIONS[activation]
    size = None if source is None else source.size
    check_sizes(arguments, "config.json", [SIZE_RULES], size)
    arguments["head_dim"] = _head_dim(arguments, source)
    return arguments


def transformers_arguments(backbone: keras_hub.models.Backbone) -> Config:
    """Arguments of `ConvBertConfig` for the same encoder.

    Raises:
        ValueError: if no `ConvBertConfig` gives it.
    """
    _check_representable(backbone)
    arguments = {
        theirs: getattr(backbone, ours)
        for theirs, ours in names.HF_ARGUMENTS.items()
    }
    arguments["embedding_size"] = backbone.embedding_dim or backbone.hidden_dim
    arguments["hidden_act"] = _activation(backbone)
    return arguments


def _head_dim(arguments: dict[str, Any], source: ArraySource | None) -> int:
    """The width of a head, for which `transformers` has had two rules.

    Since release 4.27 both branches together are as wide as the encoder.
    Before, as in the authors' code, the width was that of the encoder divided
    by the number of heads before the bottleneck. The rules agree for an even
    number of heads and a ratio of 2.
    """
    hidden_dim = arguments["hidden_dim"]
    num_heads = arguments["num_heads"]
    heads = max(1, num_heads // arguments["head_ratio"])
    rules = (hidden_dim // heads // 2, hidden_dim // num_heads)
    if source is None:
        return rules[0]
    for prefix in (names.HF_ENCODER, ""):
        shape = source.shapes.get(f"{prefix}{QUERY}")
        if shape is None:
            continue
        for head_dim in rules:
            if shape == (heads * head_dim,):
                return head_dim
        raise CheckpointError(
            f"Expected queries of {heads} heads of {rules[0]} (as Hugging Face "
            f"has them) or {rules[1]} (the authors) features. Received: "
            f"{shape[0]} features in {prefix}{QUERY} of {source}"
        )
    raise CheckpointError(
        f"Expected an array {names.HF_ENCODER}{QUERY!r}: {source} holds no "
        "encoder of ConvBERT."
    )


def _check_representable(backbone: keras_hub.models.Backbone) -> None:
    heads = max(1, backbone.num_heads // backbone.head_ratio)
    head_dim = backbone.head_dim or backbone.hidden_dim // backbone.num_heads
    if not backbone.conv:
        raise ValueError(
            "Expected a model with convolution, which a Hugging Face ConvBERT "
            "always has. Received: conv=False"
        )
    if 2 * heads * head_dim != backbone.hidden_dim:
        raise ValueError(
            "The heads of both branches of a Hugging Face ConvBERT together "
            f"are `hidden_dim` wide. Expected 2 * {heads} (heads of a branch) "
            f"* head_dim to equal hidden_dim={backbone.hidden_dim}. "
            f"Received: head_dim={head_dim}"
        )


def _activation(backbone: keras_hub.models.Backbone) -> str:
    ours = keras.activations.serialize(backbone.activation)
    for theirs, name in names.HF_ACTIVATIONS.items():
        if name == ours:
            return theirs
    raise ValueError(
        "Expected an activation that `transformers` supports, one of "
        f"{sorted(set(names.HF_ACTIVATIONS.values()))}. Received: "
        f"activation={ours!r}"
    )
