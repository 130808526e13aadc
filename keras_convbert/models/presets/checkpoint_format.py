import abc
from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping


class CheckpointFormat(abc.ABC):
    """A checkpoint format of the authors of a family, found by its path."""

    name: str
    """Name of the format on the command line, such as `"tf1"`."""

    title: str
    """Noun phrase for such a checkpoint in messages."""

    @abc.abstractmethod
    def recognizes(self, source: str) -> bool:
        """Whether `source` is the path of such a checkpoint."""

    @abc.abstractmethod
    def load_backbone(self, source: str) -> Any:
        """Returns the backbone with its weights."""

    @abc.abstractmethod
    def class_name(self, source: str) -> str:
        """Returns the name of the model class that uses most of the weights."""

    @abc.abstractmethod
    def weight_mappings(
        self, source: str
    ) -> tuple[ArraySource, list[WeightMapping]]:
        """Returns the arrays of a checkpoint and the variables for them."""
