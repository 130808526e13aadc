"""The size arguments in ConvBERT configs, and the model size they give."""

from typing import Any

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import walk
from keras_convbert.models.presets.size_limits import ModelSize
from keras_convbert.models.presets.size_limits import SizeRules
from keras_convbert.types import Config

SIZES = frozenset(
    {
        "vocabulary_size",
        "num_layers",
        "num_heads",
        "hidden_dim",
        "intermediate_dim",
        "embedding_dim",
        "head_ratio",
        "kernel_size",
        "num_groups",
        "head_dim",
        "max_sequence_length",
        "num_segments",
        "num_classes",
    }
)
MAX_GENERATOR_SCALE = 16


def measure(config: Config, file: str) -> ModelSize:
    """Returns the size of a ConvBERT model, with generator and classifier.

    Raises:
        CheckpointError: if `generator_scale` is out of range.
    """
    parameters = layers = 0
    scale = 0.0
    hidden_dim = num_classes = 0
    for part in walk(config):
        if not isinstance(part, dict):
            continue
        if "generator_scale" in part:
            scale = _scale(part["generator_scale"], file)
        if isinstance(part.get("num_classes"), int):
            num_classes = max(num_classes, part["num_classes"])
        if "num_layers" in part:
            hidden_dim = max(hidden_dim, part.get("hidden_dim") or 0)
            layers += part["num_layers"] or 0
            parameters += count_parameters(part)
    # The generator scales each width of the backbone.
    parameters += int(parameters * scale * scale) + hidden_dim * num_classes
    layers += layers if scale else 0
    return ModelSize(parameters, layers)


def count_parameters(config: Config) -> int:
    """Returns the parameters of a backbone, without biases and norms."""
    sizes: dict[str, Any] = {name: config.get(name) or 1 for name in SIZES}
    hidden_dim = sizes["hidden_dim"]
    embedding_dim = config.get("embedding_dim") or hidden_dim
    heads = max(1, sizes["num_heads"] // sizes["head_ratio"])
    head_dim = config.get("head_dim") or hidden_dim // sizes["num_heads"]
    width = heads * head_dim
    # Query, key, value, and the output of both branches.
    layer = 5 * hidden_dim * width
    if config.get("conv", True):
        # Span key, value and output; depthwise kernel and kernel generator.
        layer += 3 * hidden_dim * width
        layer += sizes["kernel_size"] * (hidden_dim + width * heads)
    groups = sizes["num_groups"]
    layer += 2 * hidden_dim * sizes["intermediate_dim"] // groups
    embedded = sum(
        sizes[name]
        for name in ("vocabulary_size", "max_sequence_length", "num_segments")
    )
    return embedded * embedding_dim + sizes["num_layers"] * layer


def _scale(value: Any, file: str) -> float:
    if (
        not isinstance(value, int | float)
        or not 0 < value <= MAX_GENERATOR_SCALE
    ):
        raise CheckpointError(
            f"{file!r} holds an invalid size. Expected a number above 0 and "
            f"at most {MAX_GENERATOR_SCALE}. Received: generator_scale={value}"
        )
    return float(value)


SIZE_RULES = SizeRules(SIZES, measure)
