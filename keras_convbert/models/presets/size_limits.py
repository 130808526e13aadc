"""How large a model a configuration may describe."""

from typing import Any

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import walk
from keras_convbert.types import Config

MAX_INTEGER = 2**31
MAX_LENGTH = 2**20
MAX_LAYERS = 512
MAX_PARAMETERS = 2**30
# A file has half a byte for each parameter where it is quantized most, and
# for each layer the names of some twenty arrays.
PARAMETERS_PER_BYTE = 2
BYTES_PER_LAYER = 2048

SIZES = {
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
LENGTHS = {"sequence_length", "mask_selection_length"}


def check_sizes(
    config: Config, file: str, weight_bytes: int | None = None
) -> None:
    """Refuses the configuration of a model that would be too large.

    Args:
        config: dict. The configuration of a backbone, a task or a
            preprocessor of this library.
        file: string. Where it is from.
        weight_bytes: int. Size of the files of weights that belong to it;
            without any there is a fixed limit. Defaults to `None`.

    Raises:
        CheckpointError: if a size is no integer or too large, or the model has
            more parameters than the files have room for.
    """
    parameters = layers = 0
    scale = 0.0
    hidden_dim = num_classes = 0
    for part in walk(config):
        if not isinstance(part, dict):
            continue
        for name in part.keys() & (SIZES | LENGTHS):
            _check_size(name, part[name], file)
        if "generator_scale" in part:
            scale = _scale(part["generator_scale"], file)
        if isinstance(part.get("num_classes"), int):
            num_classes = max(num_classes, part["num_classes"])
        if "num_layers" in part:
            hidden_dim = max(hidden_dim, part.get("hidden_dim") or 0)
            layers += part["num_layers"] or 0
            parameters += count_parameters(part)
    # The generator is the backbone, each width multiplied.
    parameters += int(parameters * scale * scale) + hidden_dim * num_classes
    layers += layers if scale else 0
    room = MAX_PARAMETERS
    if weight_bytes is not None:
        room = min(
            room,
            PARAMETERS_PER_BYTE * (weight_bytes - BYTES_PER_LAYER * layers),
        )
    if parameters > room or layers > MAX_LAYERS:
        raise CheckpointError(
            f"{file!r} describes a model that is too large, for its weights or "
            f"at all. Received: {layers} layers, {parameters} parameters, "
            f"{weight_bytes} bytes of weights"
        )


def count_parameters(config: Config) -> int:
    """The parameters of a backbone, but for biases and norms."""
    sizes: dict[str, Any] = {name: config.get(name) or 1 for name in SIZES}
    hidden_dim = sizes["hidden_dim"]
    embedding_dim = config.get("embedding_dim") or hidden_dim
    heads = max(1, sizes["num_heads"] // sizes["head_ratio"])
    head_dim = config.get("head_dim") or hidden_dim // sizes["num_heads"]
    width = heads * head_dim
    layer = 5 * hidden_dim * width
    if config.get("conv", True):
        # Separable key, values, output; kernels of every position.
        layer += 3 * hidden_dim * width
        layer += sizes["kernel_size"] * (hidden_dim + width * heads)
    groups = sizes["num_groups"]
    layer += 2 * hidden_dim * sizes["intermediate_dim"] // groups
    embedded = sum(
        sizes[name]
        for name in ("vocabulary_size", "max_sequence_length", "num_segments")
    )
    return embedded * embedding_dim + sizes["num_layers"] * layer


def _check_size(name: str, value: Any, file: str) -> None:
    limit = MAX_LENGTH if name in LENGTHS else MAX_INTEGER
    if value is None:
        return
    if not isinstance(value, int) or not 0 < value < limit:
        raise CheckpointError(
            f"{file!r} gives a size that cannot be. Expected a positive "
            f"integer below {limit}. Received: {name}={value}"
        )


def _scale(value: Any, file: str) -> float:
    if not isinstance(value, int | float) or not 0 < value <= 16:
        raise CheckpointError(
            f"{file!r} gives a size that cannot be. Expected a number up to "
            f"16. Received: generator_scale={value}"
        )
    return float(value)
