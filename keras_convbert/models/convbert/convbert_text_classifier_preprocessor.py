from typing import Any

import keras
import keras_hub

from keras_convbert.models.base.empty_batches import preprocess_texts
from keras_convbert.models.base.input_checks import check_packing
from keras_convbert.models.base.input_checks import check_texts
from keras_convbert.models.base.segment_packer import SegmentPacker
from keras_convbert.models.convbert.convbert_preprocessor import (
    ConvBertPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.types import Shape


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTextClassifierPreprocessor(
    ConvBertPreprocessor, keras_hub.models.TextClassifierPreprocessor
):
    """Tokenizes and packs texts or pairs for `ConvBertTextClassifier`.

    A text becomes `[CLS] text [SEP]` and a pair
    `[CLS] first [SEP] second [SEP]`, truncated or padded to `sequence_length`.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the packed sequences. Defaults to `512`.
        truncate: string. How to truncate a pair that is too long:
            `"round_robin"`, or `"waterfall"`, which fills the length with the
            first text first. Defaults to `"round_robin"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: a string, a list or tensor of strings, or a tuple of two of these
            for pairs. Outside of `fit`, pass a pair by name:
            `x=(first, second)`.
        y: labels, returned unchanged.
        sample_weight: weights, returned unchanged.

    Output shape:
        Dict of `token_ids`, `segment_ids` and `padding_mask`, each of shape
        `(batch, sequence_length)`. With labels a tuple `(x, y)` or
        `(x, y, sample_weight)` of this dict and the other arguments.

    Raises:
        ValueError: if `sequence_length` is less than 3, `truncate` is
            unknown, or there are more than two texts.

    Example:

    ```python
    from keras_convbert.models import ConvBertTextClassifierPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    preprocessor = ConvBertTextClassifierPreprocessor(
        ConvBertTokenizer(tokens), sequence_length=8
    )
    preprocessor(x=(["a"], ["b a"]))["token_ids"]
    # [[2, 5, 3, 6, 5, 3, 0, 0]]
    ```
    """

    def __init__(
        self,
        tokenizer: ConvBertTokenizer,
        sequence_length: int = 512,
        truncate: str = "round_robin",
        **kwargs: Any,
    ) -> None:
        check_packing(sequence_length, truncate)
        super().__init__(
            tokenizer,
            sequence_length=sequence_length,
            truncate=truncate,
            **kwargs,
        )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.packer = SegmentPacker.of(self)

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        x = check_texts(x)
        return preprocess_texts(super().call, x, y, sample_weight)
