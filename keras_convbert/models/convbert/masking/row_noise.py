"""Random numbers for each row of a batch, in training and out of it."""

from typing import Any

import keras
from keras import ops

from keras_convbert.ops.random import uniform
from keras_convbert.types import Tensor


def row_noise(
    shape: tuple[Any, Any],
    generator: keras.random.SeedGenerator | None,
    token_ids: Tensor,
    fixed_seed: int,
) -> Tensor:
    """Uniform numbers in [0, 1) of a shape `(batch, width)`.

    With a generator they are fresh. Without one they depend on the row's
    token ids alone, so that an evaluation gives the same result each time and
    however the rows are batched: every row takes the same numbers, turned
    around the unit circle by an angle of its own.
    """
    if generator is not None:
        return uniform(shape, generator)
    numbers = uniform((1, shape[1]), fixed_seed)
    key = ops.sum(ops.cast(token_ids, "int32"), axis=1, keepdims=True)
    angle = ops.cast(key % 65521, "float32") * 0.6180339887
    turned = numbers + angle
    return turned - ops.floor(turned)  # (B, width)


def replace_at(token_ids: Tensor, positions: Tensor, values: Tensor) -> Tensor:
    """`token_ids` `(B, T)` with `values` `(B, N)` at `positions` `(B, N)`.

    The positions of a row must differ from one another.
    """
    batch, length = ops.shape(token_ids)
    rows = ops.expand_dims(ops.arange(batch, dtype="int32"), 1)  # (B, 1)
    places = ops.cast(positions, "int32") + rows * length  # (B, N)
    replaced = ops.scatter_update(
        ops.reshape(token_ids, (-1,)),
        ops.reshape(places, (-1, 1)),
        ops.reshape(ops.cast(values, token_ids.dtype), (-1,)),
    )
    return ops.reshape(replaced, (batch, length))


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
