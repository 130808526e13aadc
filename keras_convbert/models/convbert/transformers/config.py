"""Converts `ConvBertConfig` to `ConvBertBackbone` arguments and back."""

import warnings
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models.convbert.convbert_sizes import SIZE_RULES
from keras_convbert.models.convbert.transformers import config_keys as keys
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.presets.size_limits import check_sizes
from keras_convbert.types import Config

QUERY = "encoder.layer.0.attention.self.query.bias"


def backbone_arguments(
    config: Config, source: ArraySource | None
) -> dict[str, Any]:
    """Returns the arguments of the backbone that `config` describes.

    Args:
        config: dict. The content of `config.json`.
        source: `ArraySource` of the weights. Its shapes determine the rule for
            the head width, which `config` does not define. `None` selects the
            current rule.

    Raises:
        ValueError: if a setting is not supported, or two contradict each
            other.
        CheckpointError: if the heads in `source` follow no known rule, or
            the sizes are too large for its arrays.
    """
    _check_keys(config)
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
    """Returns the arguments of `ConvBertConfig` for a backbone.

    Raises:
        ValueError: if `ConvBertConfig` cannot represent it.
    """
    _check_representable(backbone)
    arguments = {
        theirs: getattr(backbone, ours)
        for theirs, ours in names.HF_ARGUMENTS.items()
    }
    arguments["embedding_size"] = backbone.embedding_dim or backbone.hidden_dim
    arguments["hidden_act"] = _activation(backbone)
    return arguments


def _check_keys(config: Config) -> None:
    """Refuses settings that are not supported, and warns of unknown keys."""
    for key, (allowed, reason) in keys.HF_REQUIRED.items():
        if config.get(key) not in allowed:
            raise ValueError(
                f"Expected {key!r} in 'config.json' to be {allowed[0]!r}, "
                f"since {reason}. Received: {key}={config[key]!r}"
            )
    for older, ours in names.HF_OLDER_ARGUMENTS.items():
        found = {
            key: config[key]
            for key in (older, *_keys_of(ours))
            if key in config
        }
        if len(set(found.values())) > 1:
            raise ValueError(
                "Expected both names of one setting in 'config.json' to "
                f"have the same value. Received: {found}"
            )
    known = (
        names.HF_ARGUMENTS.keys()
        | names.HF_OLDER_ARGUMENTS.keys()
        | keys.HF_REQUIRED.keys()
        | keys.HF_HEAD_KEYS
        | keys.HF_WITHOUT_EFFECT
    )
    unknown = sorted(config.keys() - known)
    if unknown:
        warnings.warn(
            "'config.json' has keys that a Hugging Face ConvBERT does not "
            f"have. They are ignored: {unknown}",
            stacklevel=8,
        )


def _keys_of(argument: str) -> list[str]:
    return [
        theirs
        for theirs, ours in names.HF_ARGUMENTS.items()
        if ours == argument
    ]


def _head_dim(arguments: dict[str, Any], source: ArraySource | None) -> int:
    """Returns the head width, for which `transformers` has two rules.

    With D hidden width, H heads before the bottleneck and h heads after it:
    since release 4.27 the width is `D / (2 h)`, so that both branches together
    are as wide as the encoder. Before, as in the code of the authors, it was
    `D / H`. Both rules agree for even H and a ratio of 2.
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
            f"Expected {heads} query heads with {rules[0]} features (rule of "
            f"Hugging Face) or {rules[1]} features (rule of the authors). "
            f"Received: {shape[0]} features in {prefix}{QUERY} of {source}"
        )
    raise CheckpointError(
        f"Expected a ConvBERT encoder with an array "
        f"'{names.HF_ENCODER}{QUERY}'. Received: {source} without it"
    )


def _check_representable(backbone: keras_hub.models.Backbone) -> None:
    heads = max(1, backbone.num_heads // backbone.head_ratio)
    head_dim = backbone.head_dim or backbone.hidden_dim // backbone.num_heads
    if not backbone.conv:
        raise ValueError(
            "Expected a model with a convolution branch, which a Hugging Face "
            "ConvBERT always has. Received: conv=False"
        )
    if 2 * heads * head_dim != backbone.hidden_dim:
        raise ValueError(
            "The heads of both branches of a Hugging Face ConvBERT together "
            f"are `hidden_dim` wide. Expected 2 * {heads} (heads per branch) "
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
