import keras
from keras import ops

from keras_convbert.ops.sizes import pad_if_empty
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class PackedSequences(keras.layers.Layer):
    """Computes the positions and the attention mask of packed sequences.

    `padding_mask` `(B, T)` holds the number of the sequence at each position,
    and 0 at padding. Position numbers restart in each sequence, and a position
    attends to its own sequence only. Padding attends to all positions and
    counts from the start of the row. A row with one sequence at its start
    therefore gives the same outputs as an unpacked row.

    Letters: B batch, T length.
    """

    def call(self, padding_mask: Tensor) -> dict[str, Tensor]:
        number = ops.expand_dims(padding_mask, 2)  # (B, T, 1)
        other = ops.expand_dims(padding_mask, 1)  # (B, 1, T)
        visible = ops.logical_or(number == 0, number == other)  # (B, T, T)
        others = pad_if_empty(ops.cast(visible, "int8"), 2)
        starts = ops.argmax(others, axis=2)  # (B, T)
        columns = ops.arange(ops.shape(padding_mask)[1], dtype="int32")  # (T,)
        return {
            "positions": columns - ops.cast(starts, "int32"),
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

    # Keras derives a config from the constructor only if all values are plain.
    def get_config(self) -> Config:
        return super().get_config()
