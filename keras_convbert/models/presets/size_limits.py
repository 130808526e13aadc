"""How large a model a configuration may describe."""

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
# A file has half a byte per parameter where it is quantized most, and the
# names of some twenty arrays per layer.
PARAMETERS_PER_BYTE = 2
BYTES_PER_LAYER = 2048

LENGTHS = {"sequence_length", "mask_selection_length"}


class ModelSize(NamedTuple):
    """The size of a model."""

    parameters: int
    layers: int


class SizeRules(NamedTuple):
    """The sizes in the configurations of a family."""

    names: frozenset[str]
    """Keys whose values are sizes, wherever they are."""
    measure: Callable[[Config, str], ModelSize]
    """From a configuration and the name of its file, once all its sizes are
    positive integers. May raise `CheckpointError`."""


def check_sizes(
    config: Config,
    file: str,
    rules: Iterable[SizeRules],
    weight_bytes: int | None = None,
) -> None:
    """Refuses the configuration of a model that would be too large.

    Args:
        config: dict. The configuration of a backbone, a task or a
            preprocessor, or the arguments of a backbone.
        file: string. The file that it is from.
        rules: iterable of the `SizeRules` of the families in it.
        weight_bytes: int. Size of the files of its weights; `None` sets a
            fixed limit. Defaults to `None`.

    Raises:
        CheckpointError: if a size is not an integer or too large, or the
            model has more parameters than the files have room for.
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
            f"{file!r} describes a model that is too large, for its weights or "
            f"at all. Received: {layers} layers, {parameters} parameters, "
            f"{weight_bytes} bytes of weights"
        )


def _check_size(name: str, value: Any, file: str) -> None:
    limit = MAX_LENGTH if name in LENGTHS else MAX_INTEGER
    if value is None:
        return
    if not isinstance(value, int) or not 0 < value < limit:
        raise CheckpointError(
            f"{file!r} holds an impossible size. Expected a positive "
            f"integer below {limit}. Received: {name}={value}"
        )
