from typing import Any

import keras
from keras import ops

from keras_convbert.ops.chunked_cross_entropy import (
    chunked_cross_entropy_and_sample,
)
from keras_convbert.ops.precision import float32_or_wider
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class SampleTokens(keras.layers.Layer):
    """Predicts and samples tokens for masked slots, without all logits.

    The logits are `vectors @ token_table.T + bias`.

    Args:
        temperature: float. Divides the logits before sampling. Defaults to
            `1.0`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        vectors: tensor of shape `(batch, masked, embedding_dim)`.
        token_table: tensor of shape `(vocabulary_size, embedding_dim)`.
        bias: tensor of shape `(vocabulary_size,)`.
        mask_ids: integer tensor of shape `(batch, masked)`, the original
            tokens.
        noise: tensor of shape `(batch, masked)`, uniform in [0, 1).

    Output shape:
        Dict of `mlm_losses`, `mlm_predictions` and `sampled_ids`, each of
        shape `(batch, masked)`.
    """

    def __init__(self, temperature: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature = temperature
        self.built = True

    def call(
        self,
        vectors: Tensor,
        token_table: Tensor,
        bias: Tensor,
        mask_ids: Tensor,
        noise: Tensor,
    ) -> dict[str, Tensor]:
        losses, likeliest, sampled = chunked_cross_entropy_and_sample(
            ops.reshape(vectors, (-1, vectors.shape[-1])),
            token_table,
            bias,
            ops.reshape(mask_ids, (-1,)),
            ops.reshape(noise, (-1,)),
            self.temperature,
        )
        shape = ops.shape(noise)
        return {
            "mlm_losses": ops.reshape(losses, shape),
            "mlm_predictions": ops.reshape(likeliest, shape),
            "sampled_ids": ops.reshape(sampled, shape),
        }

    def compute_output_spec(
        self,
        vectors: Tensor,
        token_table: Tensor,
        bias: Tensor,
        mask_ids: Tensor,
        noise: Tensor,
    ) -> dict[str, keras.KerasTensor]:
        dtypes = {
            "mlm_losses": float32_or_wider(vectors.dtype),
            "mlm_predictions": "int32",
            "sampled_ids": "int32",
        }
        return {
            name: keras.KerasTensor(noise.shape, dtype)
            for name, dtype in dtypes.items()
        }

    def get_config(self) -> Config:
        return {**super().get_config(), "temperature": self.temperature}
