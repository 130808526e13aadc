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
from keras_convbert.text.choice_pairs import choice_pairs
from keras_convbert.text.choice_pairs import regroup
from keras_convbert.types import Config


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertMultipleChoicePreprocessor(
    ConvBertPreprocessor, keras_hub.models.Preprocessor
):
    """Tokenizes and packs choices for `ConvBertMultipleChoice`.

    Each choice becomes a row `[CLS] context [SEP] choice [SEP]`, truncated or
    padded to `sequence_length`.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the packed sequences. Defaults to `128`.
        truncate: string. How to truncate a pair that is too long:
            `"round_robin"` or `"waterfall"`. Defaults to `"round_robin"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: tuple `(contexts, choices)`: a list or tensor of strings, and a list
            of lists or a tensor of strings with the same number of choices
            for each context. Outside of `fit`, pass it by name:
            `x=(contexts, choices)`.
        y: labels, the number of the right choice, returned unchanged.
        sample_weight: weights, returned unchanged.

    Output shape:
        Dict of `token_ids`, `segment_ids` and `padding_mask`, each of shape
        `(batch, choices, sequence_length)`. With labels or weights a tuple of
        this dict and the other arguments.

    Raises:
        ValueError: if `sequence_length` is less than 3, `truncate` is
            unknown, or the numbers of choices differ.

    Example:

    ```python
    from keras_convbert.models import ConvBertMultipleChoicePreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    preprocessor = ConvBertMultipleChoicePreprocessor(
        ConvBertTokenizer(tokens), sequence_length=6
    )
    preprocessor(x=(["a"], [["a", "b"]]))["token_ids"]
    # [[[2, 5, 3, 5, 3, 0], [2, 5, 3, 6, 3, 0]]]
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

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        pairs, num_choices = choice_pairs(x)
        packed = self.packing(x=pairs)
        x = {
            name: regroup(rows, num_choices, self.sequence_length)
            for name, rows in packed.items()
        }
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            "truncate": self.truncate,
        }
