import pathlib
import warnings
from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.checkpoints.tf1 import Tf1Checkpoint
from keras_convbert.models.convbert.tf1 import weight_names as names
from keras_convbert.models.convbert.tf1.arguments import tf1_table
from keras_convbert.models.presets.checkpoint_format import CheckpointFormat
from keras_convbert.models.presets.family import backbone_class
from keras_convbert.models.presets.size_limits import MAX_LAYERS

PRETRAINING = "discriminator_predictions"


class Tf1Format(CheckpointFormat):
    """The TensorFlow 1 checkpoints of the authors, found by their prefix."""

    name = "tf1"
    title = "the prefix of a TensorFlow 1 checkpoint"

    def recognizes(self, source: str) -> bool:
        return pathlib.Path(f"{source}.index").is_file()

    def load_backbone(self, source: str) -> Any:
        warnings.warn(
            "Only the encoder was loaded. Use `from_tf1_checkpoint` of "
            "`ConvBertPretrainer` or `ConvBertTextClassifier` to load heads.",
            stacklevel=4,
        )
        return backbone_class("convbert").from_tf1_checkpoint(source)

    def class_name(self, source: str) -> str:
        shapes = Tf1Checkpoint(source).shapes
        pretrained = any(PRETRAINING in name for name in shapes)
        return "ConvBertPretrainer" if pretrained else "ConvBertBackbone"

    def weight_mappings(
        self, source: str
    ) -> tuple[ArraySource, list[WeightMapping]]:
        table = tf1_table(MAX_LAYERS)
        table += tf1_table(MAX_LAYERS, names.TF1_GENERATOR, "generator/")
        heads = (*names.TF1_MASKED_LM_HEAD, *names.TF1_DETECTION_HEAD)
        table += [WeightMapping(*entry) for entry in heads]
        return Tf1Checkpoint(source), table
