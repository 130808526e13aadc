from collections.abc import Mapping
from typing import Any
from typing import Self

from keras_convbert.files import AnyPath
from keras_convbert.models.presets.files import TOKENIZER_FILE
from keras_convbert.models.presets.preprocessor_loading import load_tokenizer
from keras_convbert.models.presets.saving import save_part
from keras_convbert.types import Mixin


class Tokenizer(Mixin):
    """Base of the tokenizers of all families, used before a KerasHub base.

    A subclass sets `backbone_cls`.
    """

    @classmethod
    def from_preset(
        cls,
        preset: AnyPath,
        custom_objects: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Makes a tokenizer from a preset.

        Args:
            preset: path or string. A folder, or the handle of one on a hub, in
                the format of KerasHub or of Hugging Face `transformers`.
            custom_objects: dict of classes and functions outside of this
                library that the preset may name. This class, and the classes
                that it uses, need no entry. Defaults to `None`.
            **kwargs: arguments that replace those of the preset.
                `vocabulary` replaces the vocabulary of a `transformers`
                preset, which is then not read.

        Returns:
            A tokenizer of this class.

        Raises:
            CheckpointError: if a file of the preset is damaged or untrusted.
                It is a `ValueError`.
            FileNotFoundError: if the preset has no tokenizer.
            ValueError: if the vocabulary is damaged, or the tokenizer is not
                supported.
        """
        tokenizer: Self = load_tokenizer(cls, preset, kwargs, custom_objects)
        return tokenizer

    def save_to_preset(self, preset_dir: AnyPath) -> None:
        """Saves the tokenizer as a preset, for `from_preset`.

        Args:
            preset_dir: path of the folder. Other files in it are kept.
        """
        save_part(preset_dir, TOKENIZER_FILE, super().save_to_preset)
