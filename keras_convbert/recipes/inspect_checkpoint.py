import math
import os
from typing import NamedTuple

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.checkpoints.tf1 import Tf1Checkpoint
from keras_convbert.files import AnyPath
from keras_convbert.models.convbert.tf1 import weight_names as tf1_names
from keras_convbert.models.convbert.tf1.arguments import tf1_table
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.files import open_arrays
from keras_convbert.models.convbert.transformers.weights import encoder_table
from keras_convbert.models.convbert.transformers.weights import head_table
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import read
from keras_convbert.recipes.sources import class_in
from keras_convbert.recipes.sources import open_source
from keras_convbert.recipes.sources import source_format

MAX_LAYERS = 512
TF1_PRETRAINING = "discriminator_predictions"


class Entry(NamedTuple):
    """An array of a checkpoint."""

    name: str
    shape: tuple[int, ...]
    target: str | None
    """The path of the variable that takes it, `None` if none does."""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class Inspection(NamedTuple):
    """What `inspect_checkpoint` finds."""

    class_name: str
    """The class of ours that takes the most of it."""
    entries: list[Entry]


def inspect_checkpoint(source: AnyPath) -> Inspection:
    """Lists what a checkpoint holds.

    Args:
        source: path or handle, as `convert_checkpoint` takes it.

    Returns:
        The name of the class that opens it, as `class_name`, and `entries`,
        each with `name`, `shape` and `target`, the path of the variable of
        ours that takes the array, or `None`.

    Raises:
        ValueError: if the source is no checkpoint, or cannot be read.
    """
    source = os.fspath(source)
    kind = source_format(source)
    if kind == "tf1":
        checkpoint = Tf1Checkpoint(source)
        whole = any(TF1_PRETRAINING in name for name in checkpoint.shapes)
        name = "ConvBertPretrainer" if whole else "ConvBertBackbone"
        return Inspection(name, _entries(checkpoint, _tf1_rows()))
    if kind == "huggingface":
        arrays = open_arrays(source)
        return Inspection(
            class_in(source, kind).__name__,
            _entries(arrays, _huggingface_rows(source)),
        )
    model, _ = open_source(source)
    return Inspection(
        type(model).__name__,
        [Entry(w.path, tuple(w.shape), w.path) for w in model.weights],
    )


def _tf1_rows() -> list[WeightMapping]:
    table = tf1_table(MAX_LAYERS)
    table += tf1_table(MAX_LAYERS, tf1_names.TF1_GENERATOR, "generator/")
    heads = (*tf1_names.TF1_MASKED_LM_HEAD, *tf1_names.TF1_DETECTION_HEAD)
    return table + [WeightMapping(*entry) for entry in heads]


def _huggingface_rows(source: str) -> list[WeightMapping]:
    config = read(source, CONFIG_FILE)
    groups = config.get("num_groups") or config.get("linear_groups") or 1
    rows = [
        row
        for prefix in ("", names.HF_ENCODER)
        for row in encoder_table(MAX_LAYERS, groups, prefix)
    ]
    return rows + [row for kind in names.HF_HEADS for row in head_table(kind)]


def _entries(source: ArraySource, rows: list[WeightMapping]) -> list[Entry]:
    targets = {row.name: row.path for row in rows}
    return [
        Entry(name, shape, targets.get(name))
        for name, shape in sorted(source.shapes.items())
    ]
