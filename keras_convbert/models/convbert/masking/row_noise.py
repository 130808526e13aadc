"""Random numbers for each row of a batch, in training and in evaluation.

Letters: B batch, T length, N slots for masked tokens.
"""

from typing import Any

import keras
from keras import ops

from keras_convbert.ops.random import uniform
from keras_convbert.types import Config
from keras_convbert.types import Tensor


def row_noise(
    shape: tuple[Any, Any],
    generator: keras.random.SeedGenerator | None,
    token_ids: Tensor,
    fixed_seed: int,
) -> Tensor:
    """Returns uniform numbers in [0, 1) of shape `(batch, width)`.

    With a generator they are random. Without one they depend only on the token
    ids of the row, so that an evaluation is reproducible for any batch size:
    all rows use the same numbers, shifted modulo 1 by an offset per row.

    Args:
        shape: tuple `(batch, width)`.
        generator: a `keras.random.SeedGenerator`, or `None`.
        token_ids: integer tensor of shape `(batch, length)`.
        fixed_seed: int. Seed of the shared numbers without a generator.
    """
    if generator is not None:
        return uniform(shape, generator)
    numbers = uniform((1, shape[1]), fixed_seed)
    key = ops.sum(ops.cast(token_ids, "int32"), axis=1, keepdims=True)
    # Multiples of the golden ratio modulo 1 are spread evenly over [0, 1).
    offset = ops.cast(key % 65521, "float32") * 0.6180339887
    shifted = numbers + offset
    return shifted - ops.floor(shifted)  # (B, width)


def replace_at(token_ids: Tensor, positions: Tensor, values: Tensor) -> Tensor:
    """Returns `token_ids` `(B, T)` with `values` at `positions`, both `(B, N)`.

    The positions of a row must be unique.
    """
    batch, length = ops.shape(token_ids)
    rows = ops.expand_dims(ops.arange(batch, dtype="int32"), 1)  # (B, 1)
    indices = ops.cast(positions, "int32") + rows * length  # (B, N)
    replaced = ops.scatter_update(
        ops.reshape(token_ids, (-1,)),
        ops.reshape(indices, (-1, 1)),
        ops.reshape(ops.cast(values, token_ids.dtype), (-1,)),
    )
    return ops.reshape(replaced, (batch, length))


@keras.saving.register_keras_serializable(package="keras_convbert")
class SampleNoise(keras.layers.Layer):
    """Returns a uniform number in [0, 1) per masked slot, for sampling.

    Outside of training it depends only on the token ids of the row.
    """

    def __init__(self, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
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

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.seed}
