import abc
from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping


class CheckpointFormat(abc.ABC):
    """Checkpoints of the authors of a family, known by a path alone."""

    name: str
    """How the command line calls the format, as `"tf1"`."""

    title: str
    """What sentences call such a checkpoint."""

    @abc.abstractmethod
    def recognizes(self, source: str) -> bool:
        """Whether `source` is the path of such a checkpoint."""

    @abc.abstractmethod
    def load_backbone(self, source: str) -> Any:
        """Makes the backbone, with its weights."""

    @abc.abstractmethod
    def class_name(self, source: str) -> str:
        """The name of our class that takes most of the weights."""

    @abc.abstractmethod
    def weight_mappings(
        self, source: str
    ) -> tuple[ArraySource, list[WeightMapping]]:
        """The arrays of the checkpoint, and the variables that take them."""
