import keras
from keras import ops

from keras_convbert.types import Tensor


class PackedSequences(keras.layers.Layer):
    """Where sequences that share a row begin, and what each may see.

    `padding_mask` has the number of its sequence at each position, and 0 at
    padding. Positions are counted in each sequence anew, and see that sequence
    alone. Padding sees everything and counts from the start of the row, as it
    does where nothing is packed; so a row of a single sequence that starts it
    gives the same as without this layer.
    """

    def call(self, padding_mask: Tensor) -> dict[str, Tensor]:
        number = ops.expand_dims(padding_mask, 2)  # (B, T, 1)
        other = ops.expand_dims(padding_mask, 1)  # (B, 1, T)
        visible = ops.logical_or(number == 0, number == other)  # (B, T, T)
        starts = ops.argmax(ops.cast(visible, "int8"), axis=2)  # (B, T)
        places = ops.arange(ops.shape(padding_mask)[1], dtype="int32")  # (T,)
        return {
            "positions": places - ops.cast(starts, "int32"),
            "attention_mask": visible,
        }

    def compute_output_spec(self, padding_mask: Tensor) -> dict[str, Tensor]:
        batch, length = padding_mask.shape
        return {
            "positions": keras.KerasTensor((batch, length), dtype="int32"),
            "attention_mask": keras.KerasTensor(
                (batch, length, length), dtype="bool"
            ),
        }
