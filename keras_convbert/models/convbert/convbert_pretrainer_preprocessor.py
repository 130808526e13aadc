from typing import Any

import keras

from keras_convbert.models.convbert.packing_preprocessor import (
    PackingPreprocessor,
)


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertPretrainerPreprocessor(PackingPreprocessor):
    """Tokenizes and packs texts or pairs for `ConvBertPretrainer`.

    It does not mask tokens: the pretrainer does this in each step.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the packed sequences. Defaults to `128`.
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
        `(batch, sequence_length)`. With labels or weights a tuple of this
        dict and the other arguments.

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

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        x = self.packing(x=x)
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
