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
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTextEmbedderPreprocessor(
    ConvBertPreprocessor, keras_hub.models.TextEmbedderPreprocessor
):
    """Tokenizes and packs texts or pairs for `ConvBertTextEmbedder`.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the packed sequences. Defaults to `256`.
        truncate: string. How to truncate a pair that is too long:
            `"round_robin"` or `"waterfall"`. Defaults to `"round_robin"`.
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
    from keras_convbert.models import ConvBertTextEmbedderPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    preprocessor = ConvBertTextEmbedderPreprocessor(
        ConvBertTokenizer(tokens), sequence_length=6
    )
    preprocessor(["a b"])["token_ids"]  # [[2, 5, 6, 3, 0, 0]]
    ```
    """

    def __init__(
        self,
        tokenizer: ConvBertTokenizer,
        sequence_length: int = 256,
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

    def _format_output(
        self, token_ids: Tensor, segment_ids: Tensor
    ) -> dict[str, Tensor]:
        return {
            "token_ids": token_ids,
            "segment_ids": segment_ids,
            "padding_mask": token_ids != self.tokenizer.pad_token_id,
        }
