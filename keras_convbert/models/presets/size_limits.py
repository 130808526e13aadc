"""Limits on the size of a model that an untrusted config describes."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import walk
from keras_convbert.types import Config

MAX_INTEGER = 2**31
MAX_LENGTH = 2**20
MAX_LAYERS = 512
MAX_PARAMETERS = 2**30
# A file has at least half a byte per parameter (int4), and the names of about
# twenty arrays per layer.
PARAMETERS_PER_BYTE = 2
BYTES_PER_LAYER = 2048

LENGTHS = {"sequence_length", "mask_selection_length"}


class ModelSize(NamedTuple):
    """The size of a model."""

    parameters: int
    layers: int


class SizeRules(NamedTuple):
    """The size arguments in the configs of a family."""

    names: frozenset[str]
    """Keys whose values are sizes, at any depth of a config."""
    measure: Callable[[Config, str], ModelSize]
    """Function from a config and its file name to a `ModelSize`.

    It is called after all sizes were checked to be positive integers. It may
    raise `CheckpointError`.
    """


def check_sizes(
    config: Config,
    file: str,
    rules: Iterable[SizeRules],
    weight_bytes: int | None = None,
) -> None:
    """Raises `CheckpointError` if a config describes too large a model.

    Args:
        config: dict. The config of a backbone, a task or a preprocessor, or
            the arguments of a backbone.
        file: string. The name of the config file.
        rules: iterable of the `SizeRules` of the families in the config.
        weight_bytes: int. Total size of the weight files; `None` applies a
            fixed limit only. Defaults to `None`.

    Raises:
        CheckpointError: if a size is not an integer or too large, or the
            model has more parameters than the weight files can hold.
    """
    rules = [*rules]
    sizes = frozenset[str]().union(*(rule.names for rule in rules))
    for part in walk(config):
        if isinstance(part, dict):
            for name in part.keys() & (sizes | LENGTHS):
                _check_size(name, part[name], file)
    measured = [rule.measure(config, file) for rule in rules]
    parameters = sum(size.parameters for size in measured)
    layers = sum(size.layers for size in measured)
    room = MAX_PARAMETERS
    if weight_bytes is not None:
        in_file = weight_bytes - BYTES_PER_LAYER * layers
        room = min(room, PARAMETERS_PER_BYTE * in_file)
    if parameters > room or layers > MAX_LAYERS:
        raise CheckpointError(
            f"The model in {file!r} is too large. Expected at most "
            f"{MAX_LAYERS} layers and {max(0, room)} parameters. Received: "
            f"layers={layers}, parameters={parameters}, "
            f"weight_bytes={weight_bytes}"
        )


def _check_size(name: str, value: Any, file: str) -> None:
    limit = MAX_LENGTH if name in LENGTHS else MAX_INTEGER
    if value is None:
        return
    if not isinstance(value, int) or not 0 < value < limit:
        raise CheckpointError(
            f"{file!r} holds an invalid size. Expected a positive "
            f"integer below {limit}. Received: {name}={value}"
        )
