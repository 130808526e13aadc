import math
import os
from typing import NamedTuple

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.files import AnyPath
from keras_convbert.recipes.sources import checkpoint_format
from keras_convbert.recipes.sources import class_in
from keras_convbert.recipes.sources import open_preset
from keras_convbert.recipes.sources import open_source


class Entry(NamedTuple):
    """An array of a checkpoint."""

    name: str
    shape: tuple[int, ...]
    target: str | None
    """Path of the variable that loads the array, or `None`."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class Inspection(NamedTuple):
    """The result of `inspect_checkpoint`."""

    class_name: str
    """Name of the class that loads the checkpoint."""
    entries: list[Entry]


def inspect_checkpoint(source: AnyPath) -> Inspection:
    """Lists the arrays of a checkpoint.

    Args:
        source: path or handle, as in `convert_checkpoint`.

    Returns:
        A named tuple of `class_name`, the class that loads the checkpoint,
        and `entries`, one per array. Each entry has `name`, `shape` and
        `target`, the path of the variable that loads the array, or `None`.

    Raises:
        ValueError: if the source is not a checkpoint, or cannot be read.
    """
    source = os.fspath(source)
    if not source.endswith(".keras"):
        checkpoint = checkpoint_format(source)
        if checkpoint is not None:
            entries = _entries(*checkpoint.weight_mappings(source))
            return Inspection(checkpoint.class_name(source), entries)
        preset = open_preset(source)
        if preset.foreign is not None:
            entries = _entries(*preset.foreign.weight_mappings(preset))
            return Inspection(class_in(preset).__name__, entries)
    model, _ = open_source(source)
    return Inspection(
        type(model).__name__,
        [Entry(w.path, tuple(w.shape), w.path) for w in model.weights],
    )


def _entries(source: ArraySource, mappings: list[WeightMapping]) -> list[Entry]:
    targets = {mapping.name: mapping.path for mapping in mappings}
    return [
        Entry(name, shape, targets.get(name))
        for name, shape in sorted(source.shapes.items())
    ]
