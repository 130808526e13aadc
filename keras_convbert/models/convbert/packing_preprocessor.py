from typing import Any

import keras_hub

from keras_convbert.models.convbert.convbert_preprocessor import (
    ConvBertPreprocessor,
)
from keras_convbert.models.convbert.convbert_text_classifier_preprocessor import (  # noqa: E501
    ConvBertTextClassifierPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.types import Config


class PackingPreprocessor(ConvBertPreprocessor, keras_hub.models.Preprocessor):
    """Base of preprocessors that pack texts or pairs as the classifier does.

    A subclass implements `call`, which uses `packing`.
    """

    def __init__(
        self,
        tokenizer: ConvBertTokenizer,
        sequence_length: int = 128,
        truncate: str = "round_robin",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.truncate = truncate
        packing = ConvBertTextClassifierPreprocessor(
            tokenizer,
            sequence_length=sequence_length,
            truncate=truncate,
            name="packing",
        )
        # Not tracked by Keras: KerasHub saves each tracked preprocessor to a
        # preset, and this one would overwrite the config of the outer one.
        object.__setattr__(self, "packing", packing)

    @property
    def sequence_length(self) -> int:
        """The length of the packed sequences."""
        return self.packing.sequence_length

    @sequence_length.setter
    def sequence_length(self, value: int) -> None:
        self.packing.sequence_length = value

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            "truncate": self.truncate,
        }
