from typing import Any

import keras
from keras import ops

from keras_convbert.models.convbert.row_noise import row_noise
from keras_convbert.types import Tensor


class SampleNoise(keras.layers.Layer):
    """A number in [0, 1) for each chosen token, to sample its guess by.

    Out of training it depends on the tokens of the row alone.
    """

    def __init__(self, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(
        self,
        token_ids: Tensor,
        mask_positions: Tensor,
        training: bool | None = None,
    ) -> Tensor:
        generator = self.seed_generator if training else None
        shape = tuple(ops.shape(mask_positions))
        return row_noise(shape, generator, token_ids, 3)  # (B, N)

    def compute_output_spec(
        self,
        token_ids: Tensor,
        mask_positions: Tensor,
        training: bool | None = None,
    ) -> keras.KerasTensor:
        return keras.KerasTensor(mask_positions.shape, dtype="float32")
