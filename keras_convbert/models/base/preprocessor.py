from collections.abc import Mapping
from typing import Any
from typing import ClassVar
from typing import Self

from keras_convbert.compat import flatten_layers
from keras_convbert.compat import was_built
from keras_convbert.files import AnyPath
from keras_convbert.models.presets.files import PREPROCESSOR_FILE
from keras_convbert.models.presets.preprocessor_loading import load_preprocessor
from keras_convbert.models.presets.saving import save_part
from keras_convbert.types import Config
from keras_convbert.types import Mixin


class Preprocessor(Mixin):
    """Base of the preprocessors of all families, the first base of each.

    It is not a `keras_hub.models.Preprocessor`, since KerasHub has a separate
    base for each kind of preprocessor. A subclass sets `backbone_cls` and
    `tokenizer_cls`.
    """

    takes_words: ClassVar[bool] = False
    """Whether a sample is a sentence of words, not a text or a pair."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Before a prediction, Keras on JAX runs a model with an unbuilt layer
        # operation by operation, and compiles each of them for each shape.
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # `build` needs the vocabulary, which may be loaded after the
        # constructor.
        if not was_built(self):
            self.build(None)
            for layer in flatten_layers(self, include_self=False):
                if not layer.built:
                    layer.build(None)
        return super().__call__(*args, **kwargs)

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Makes a new preprocessor from `get_config`.

        Args:
            config: dict that `get_config` returned; it is not changed.

        Returns:
            A preprocessor of this class.
        """
        # KerasHub replaces the entries of the dict by the objects it makes.
        preprocessor: Self = super().from_config({**config})
        return preprocessor

    @classmethod
    def from_preset(
        cls,
        preset: AnyPath,
        custom_objects: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Makes a preprocessor from a preset.

        Args:
            preset: path or string. A folder, or the handle of one on a hub, in
                the format of KerasHub or of Hugging Face `transformers`. The
                preset of another task or of a tokenizer is sufficient.
            custom_objects: dict of classes and functions outside of this
                library that the preset may name. This class, and the classes
                that it uses, need no entry. Defaults to `None`.
            **kwargs: arguments that replace those of the preset.
                `sequence_length` defaults to that of the preset, else to the
                default of the class or the limit of the backbone, whichever
                is less. `vocabulary` replaces the vocabulary of a
                `transformers` preset, which is then not read.

        Returns:
            A preprocessor of this class.

        Raises:
            CheckpointError: if a file of the preset is damaged or untrusted.
                It is a `ValueError`.
            FileNotFoundError: if the preset has no tokenizer.
            ValueError: if the vocabulary is damaged, or the tokenizer is not
                supported.
        """
        preprocessor: Self = load_preprocessor(
            cls, preset, kwargs, custom_objects
        )
        return preprocessor

    def save_to_preset(self, preset_dir: AnyPath) -> None:
        """Saves the preprocessor and its tokenizer as a preset.

        Args:
            preset_dir: path of the folder. Other files in it are kept.
        """
        save_part(preset_dir, PREPROCESSOR_FILE, super().save_to_preset)
