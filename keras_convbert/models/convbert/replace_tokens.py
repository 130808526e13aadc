from typing import Any

import keras
from keras import ops

from keras_convbert.models.convbert.row_noise import replace_at
from keras_convbert.models.convbert.row_noise import row_noise
from keras_convbert.ops.sampling import sample_categorical
from keras_convbert.types import Tensor


class ReplaceTokens(keras.layers.Layer):
    """Puts samples of the generator in the place of the chosen tokens.

    A token counts as replaced where it truly differs: a sample may hit the
    original. No gradient flows through the sample.
    """

    def __init__(
        self, temperature: float, seed: int | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.temperature = temperature
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(
        self,
        token_ids: Tensor,
        mask_positions: Tensor,
        mask_weights: Tensor,
        mlm_logits: Tensor,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        generator = self.seed_generator if training else None
        logits = ops.cast(ops.stop_gradient(mlm_logits), "float32")
        uniform = row_noise(
            tuple(ops.shape(mask_positions)), generator, token_ids, 3
        )  # (B, N)
        sampled = sample_categorical(logits / self.temperature, uniform)
        original = ops.take_along_axis(token_ids, mask_positions, axis=1)
        sampled = ops.where(
            mask_weights > 0, ops.cast(sampled, "int32"), original
        )
        corrupted = replace_at(token_ids, mask_positions, sampled)
        return {
            "sampled_ids": sampled,
            "corrupted_token_ids": corrupted,
            "rtd_labels": ops.cast(corrupted != token_ids, "int32"),
        }

    def compute_output_spec(
        self,
        token_ids: Tensor,
        mask_positions: Tensor,
        mask_weights: Tensor,
        mlm_logits: Tensor,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        def like(tensor: Tensor) -> keras.KerasTensor:
            return keras.KerasTensor(tensor.shape, dtype="int32")

        return {
            "sampled_ids": like(mask_positions),
            "corrupted_token_ids": like(token_ids),
            "rtd_labels": like(token_ids),
        }
