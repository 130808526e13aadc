from typing import Any

import keras
from keras import ops

from keras_convbert.models.convbert.masking.row_noise import replace_at
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class ReplaceTokens(keras.layers.Layer):
    """Replaces the selected tokens by samples of the generator.

    The label `rtd_labels` is 1 where the sample differs from the original
    token. A sample that equals the original counts as not replaced.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def call(
        self,
        token_ids: Tensor,
        mask_positions: Tensor,
        mask_weights: Tensor,
        sampled_ids: Tensor,
    ) -> dict[str, Tensor]:
        original = ops.take_along_axis(token_ids, mask_positions, axis=1)
        sampled = ops.where(mask_weights > 0, sampled_ids, original)
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
        sampled_ids: Tensor,
    ) -> dict[str, Tensor]:
        def like(tensor: Tensor) -> keras.KerasTensor:
            return keras.KerasTensor(tensor.shape, dtype="int32")

        return {
            "sampled_ids": like(mask_positions),
            "corrupted_token_ids": like(token_ids),
            "rtd_labels": like(token_ids),
        }

    # Keras derives a config from the constructor only if all values are plain.
    def get_config(self) -> Config:
        return super().get_config()
