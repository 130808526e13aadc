import abc
from typing import TYPE_CHECKING
from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping

if TYPE_CHECKING:
    from keras_convbert.models.presets.preset import Preset


class ForeignFormat(abc.ABC):
    """A folder format of another library that `from_preset` supports."""

    name: str
    """Name of the format on the command line, such as `"huggingface"`."""

    def model_folder(self, preset: "Preset") -> str:
        """Returns the folder inside of `preset` that holds the model.

        It is `""` for the preset itself.
        """
        return ""

    @abc.abstractmethod
    def recognizes(self, preset: "Preset") -> bool:
        """Whether `preset` holds a model in this format.

        Raises:
            ValueError: if it holds a model of another family or of an unknown
                format.
        """

    @abc.abstractmethod
    def recognizes_tokenizer(self, preset: "Preset") -> bool:
        """Whether `preset` holds only a tokenizer in this format."""

    @abc.abstractmethod
    def has_tokenizer(self, preset: "Preset") -> bool:
        """Whether `preset` holds tokenizer files in this format."""

    @abc.abstractmethod
    def load_backbone(
        self,
        cls: type[Any],
        preset: "Preset",
        load_weights: bool,
        arguments: dict[str, Any],
    ) -> Any:
        """Returns the backbone; `arguments` replace those of the preset."""

    @abc.abstractmethod
    def load_task(
        self,
        cls: type[Any],
        preset: "Preset",
        load_weights: bool,
        arguments: dict[str, Any],
    ) -> tuple[Any, bool]:
        """Returns a task, and whether its head was loaded from the preset."""

    @abc.abstractmethod
    def tokenizer_arguments(
        self,
        preset: "Preset",
        vocabulary: Any = None,
        lowercase: bool | None = None,
    ) -> dict[str, Any]:
        """Returns tokenizer arguments; those given override the preset."""

    @abc.abstractmethod
    def sequence_length(
        self, cls: type[Any], preset: "Preset", default: int
    ) -> int:
        """Returns the sequence length of a preprocessor of class `cls`.

        `default` is that of the class.
        """

    @abc.abstractmethod
    def class_name(self, preset: "Preset") -> str:
        """Returns the name of the model class that uses most of the weights."""

    @abc.abstractmethod
    def weight_mappings(
        self, preset: "Preset"
    ) -> tuple[ArraySource, list[WeightMapping]]:
        """Returns the arrays of the preset and their mapping to variables."""
