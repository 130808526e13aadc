from typing import Any
from typing import Self

import keras_hub

from keras_convbert.text.trimming import trim_round_robin_in_graph
from keras_convbert.types import Tensor


class SegmentPacker(keras_hub.layers.MultiSegmentPacker):
    """A `MultiSegmentPacker` whose graphs run on servers of older versions.

    It gives the same results. The base class truncates pairs with an operation
    that TensorFlow Text 2.12 lacks, which some versions of TensorFlow Serving
    embed.
    """

    @classmethod
    def of(cls, preprocessor: Any) -> Self:
        """Makes the packer of a preprocessor."""
        tokenizer = preprocessor.tokenizer
        return cls(
            sequence_length=preprocessor.sequence_length,
            start_value=tokenizer.cls_token_id,
            end_value=tokenizer.sep_token_id,
            pad_value=tokenizer.pad_token_id,
            truncate=preprocessor.truncate,
        )

    def _trim_inputs_tf(
        self,
        inputs: tuple[Tensor, ...],
        sequence_length: int | None = None,
        add_start_value: bool = True,
        add_end_value: bool = True,
    ) -> list[Tensor]:
        if self.truncate != "round_robin":
            trimmed: list[Tensor] = super()._trim_inputs_tf(
                inputs, sequence_length, add_start_value, add_end_value
            )
            return trimmed
        special = len(inputs) - 1 + add_start_value + add_end_value
        budget = (sequence_length or self.sequence_length) - special
        return trim_round_robin_in_graph(inputs, budget)
