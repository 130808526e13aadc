from typing import Any

import keras

from keras_convbert.models.convbert.packing_preprocessor import (
    PackingPreprocessor,
)
from keras_convbert.text.choice_pairs import choice_pairs
from keras_convbert.text.choice_pairs import regroup


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertMultipleChoicePreprocessor(PackingPreprocessor):
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

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        pairs, num_choices = choice_pairs(x)
        packed = self.packing(x=pairs)
        x = {
            name: regroup(rows, num_choices, self.sequence_length)
            for name, rows in packed.items()
        }
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
