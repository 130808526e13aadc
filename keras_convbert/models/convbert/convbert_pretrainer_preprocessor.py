from typing import Any

import keras
import keras_hub

from keras_convbert.models.convbert.convbert_preprocessor import (
    ConvBertPreprocessor,
)
from keras_convbert.models.convbert.convbert_text_classifier_preprocessor import (  # noqa: E501
    ConvBertTextClassifierPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.types import Config


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertPretrainerPreprocessor(
    ConvBertPreprocessor, keras_hub.models.Preprocessor
):
    """Turns texts, or pairs, into the inputs of `ConvBertPretrainer`.

    Masking is not its business: the pretrainer masks in its graph.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the outputs. Defaults to `128`.
        truncate: string. How a pair that is too long is cut:
            `"round_robin"` or `"waterfall"`. Defaults to `"round_robin"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: a string, a list or tensor of strings, or a tuple of two such.
            Outside of `fit` a pair is passed by name: `x=(first, second)`.
        y: labels, passed through.
        sample_weight: weights, passed through.

    Output shape:
        dict of `token_ids`, `segment_ids`, `padding_mask`, each
        `(batch, sequence_length)`; with labels or weights a tuple of it and
        them.

    Raises:
        ValueError: if `sequence_length` is less than 3, `truncate` is
            unknown, or there are more than two texts.

    Example:

    ```python
    from keras_convbert.models import ConvBertPretrainerPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    preprocessor = ConvBertPretrainerPreprocessor(
        ConvBertTokenizer(tokens), sequence_length=8
    )
    preprocessor(["a b a"])["token_ids"]  # [[2, 5, 6, 5, 3, 0, 0, 0]]
    ```
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
        # Past Keras's tracking: KerasHub saves every preprocessor that it
        # finds in a preset, this one's config over that of the whole.
        object.__setattr__(self, "packing", packing)

    @property
    def sequence_length(self) -> int:
        """The length of the outputs."""
        return self.packing.sequence_length

    @sequence_length.setter
    def sequence_length(self, value: int) -> None:
        self.packing.sequence_length = value

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        x = self.packing(x=x)
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            "truncate": self.truncate,
        }
