import abc
from typing import TYPE_CHECKING
from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.types import Config

if TYPE_CHECKING:
    from keras_convbert.models.presets.preset import Preset


class ForeignFormat(abc.ABC):
    """Folders of another library, which `from_preset` opens too."""

    name: str
    """How the command line calls the format, as `"huggingface"`."""

    @abc.abstractmethod
    def recognizes(self, preset: "Preset") -> bool:
        """Whether `preset` holds a model in this format.

        Raises:
            ValueError: if it holds a model of another family, or of no known
                format.
        """

    @abc.abstractmethod
    def recognizes_tokenizer(self, preset: "Preset") -> bool:
        """Whether `preset` holds a tokenizer in this format and no model."""

    @abc.abstractmethod
    def has_tokenizer(self, preset: "Preset") -> bool:
        """Whether `preset` holds files of a tokenizer in this format."""

    @abc.abstractmethod
    def load_backbone(
        self,
        cls: type[Any],
        preset: "Preset",
        load_weights: bool,
        arguments: dict[str, Any],
    ) -> Any:
        """Makes the backbone; `arguments` replace those of the preset."""

    @abc.abstractmethod
    def load_task(
        self,
        cls: type[Any],
        preset: "Preset",
        load_weights: bool,
        arguments: dict[str, Any],
    ) -> tuple[Any, bool]:
        """Makes a task, and tells whether its head is that of the preset."""

    @abc.abstractmethod
    def tokenizer_arguments(
        self, preset: "Preset", vocabulary: Any = None
    ) -> dict[str, Any]:
        """Arguments of our tokenizer; `vocabulary` replaces the preset's."""

    @abc.abstractmethod
    def max_sequence_length(self, config: Config) -> int | None:
        """The longest input of the model that `config` describes."""

    @abc.abstractmethod
    def class_name(self, preset: "Preset") -> str:
        """The name of our class that takes most of the weights."""

    @abc.abstractmethod
    def weight_mappings(
        self, preset: "Preset"
    ) -> tuple[ArraySource, list[WeightMapping]]:
        """The arrays of the preset, and the variables that take them."""
