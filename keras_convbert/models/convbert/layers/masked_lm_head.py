from typing import Any

import keras
from keras import ops

from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.base.layer_costs import LayerCost
from keras_convbert.models.convbert.convbert_costs import masked_lm_cost
from keras_convbert.ops.chunked_cross_entropy import (
    chunked_cross_entropy_and_sample,
)
from keras_convbert.ops.precision import float32_or_wider
from keras_convbert.types import Activation
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


class MaskedLMHead(keras.layers.Layer):
    """Predicts tokens at the masked positions, with tied embeddings.

    With `x` of shape `(B, N, D)`, the encoder outputs at the masked positions:

        logits = layer_norm(activation(x W + b)) E^T + c

    `W` `(D, E)` and `b` `(E,)` are a dense layer, the table `E` `(V, E)` holds
    the token embeddings, and `c` `(V,)` is the output bias. The logits have
    the shape `(B, N, V)`. This is the head of the authors' generator.

    Letters: B batch, T length, N masked slots, D hidden width, E embedding
    width, V vocabulary.

    `keras_hub.layers.MaskedLMHead` fails in mixed precision: it adds a float32
    bias to half-precision logits.

    Args:
        token_embedding: the `ReversibleEmbedding` whose table is shared.
        activation: activation of the dense layer, or its name.
        layer_norm_epsilon: float. Added to variances for stability.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        token_embedding: keras.layers.ReversibleEmbedding,
        activation: Activation,
        layer_norm_epsilon: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.token_embedding = token_embedding
        self.dense = keras.layers.Dense(
            token_embedding.output_dim,
            activation=activation,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            dtype=policy_at(self.dtype_policy, f"{self.name}/dense"),
            name="dense",
        )
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon,
            dtype=self.dtype_policy,
            name="layer_norm",
        )

    def build(
        self, inputs_shape: Shape, mask_positions_shape: Shape | None = None
    ) -> None:
        self.dense.build(inputs_shape)
        self.layer_norm.build((*inputs_shape[:-1], self.dense.units))
        self.output_bias = self.add_weight(
            name="output_bias",
            shape=(self.token_embedding.input_dim,),
            initializer="zeros",
        )

    def call(
        self,
        inputs: Tensor,
        mask_positions: Tensor,
        mask_ids: Tensor | None = None,
        noise: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Any:
        """Returns logits, or losses and predictions without all logits.

        Args:
            inputs: tensor of shape `(B, T, D)`, the encoder outputs.
            mask_positions: integer tensor of shape `(B, N)`.
            mask_ids: integer tensor of shape `(B, N)`, the original tokens.
                It is required with `noise`. Defaults to `None`.
            noise: tensor of shape `(B, N)`, uniform in [0, 1), to sample
                tokens with. Defaults to `None`.
            temperature: float. Divides the logits before sampling. Defaults
                to `1.0`.

        Returns:
            Logits of shape `(B, N, V)`; with `noise` a dict of `mlm_losses`,
            `mlm_predictions` and `sampled_ids`, each of shape `(B, N)`.
        """
        indices = ops.expand_dims(mask_positions, -1)  # (B, N, 1)
        x = ops.take_along_axis(inputs, indices, axis=1)  # (B, N, D)
        x = self.layer_norm(self.dense(x))  # (B, N, E)
        if noise is not None:
            return self._predict_and_sample(x, mask_ids, noise, temperature)
        logits = self.token_embedding(x, reverse=True)  # (B, N, V)
        return logits + ops.cast(self.output_bias, logits.dtype)

    def _predict_and_sample(
        self, x: Tensor, mask_ids: Tensor, noise: Tensor, temperature: float
    ) -> dict[str, Tensor]:
        losses, likeliest, sampled = chunked_cross_entropy_and_sample(
            ops.reshape(x, (-1, x.shape[-1])),
            ops.convert_to_tensor(self.token_embedding.embeddings),
            ops.convert_to_tensor(self.output_bias),
            ops.reshape(mask_ids, (-1,)),
            ops.reshape(noise, (-1,)),
            temperature,
        )
        shape = ops.shape(noise)
        return {
            "mlm_losses": ops.reshape(losses, shape),
            "mlm_predictions": ops.reshape(likeliest, shape),
            "sampled_ids": ops.reshape(sampled, shape),
        }

    def layer_cost(
        self, task: Any, length: int, size: ElementBytes
    ) -> LayerCost:
        """Returns the cost of the head in a task, for `analysis.profile`."""
        slots = length
        if task.preprocessor is not None:
            slots = task.preprocessor.mask_selection_length
        return masked_lm_cost(
            self.name,
            task.backbone.hidden_dim,
            self.token_embedding.output_dim,
            self.token_embedding.input_dim,
            slots,
            size,
        )

    def compute_output_spec(
        self,
        inputs: Tensor,
        mask_positions: Tensor,
        mask_ids: Tensor | None = None,
        noise: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Any:
        shape = mask_positions.shape
        if noise is None:
            return keras.KerasTensor(
                (*shape, self.token_embedding.input_dim), self.compute_dtype
            )
        dtypes = {
            "mlm_losses": float32_or_wider(self.compute_dtype),
            "mlm_predictions": "int32",
            "sampled_ids": "int32",
        }
        return {
            name: keras.KerasTensor(shape, dtype)
            for name, dtype in dtypes.items()
        }
