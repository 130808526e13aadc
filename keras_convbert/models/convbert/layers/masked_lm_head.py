from typing import Any

import keras
from keras import ops

from keras_convbert.layers.child_dtypes import ChildDtypes
from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.base.layer_costs import LayerCost
from keras_convbert.models.convbert.convbert_costs import masked_lm_cost
from keras_convbert.types import Activation
from keras_convbert.types import Config
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class MaskedLMHead(ChildDtypes):
    """Prepares the masked positions for a product with tied embeddings.

    With `x` of shape `(B, N, D)`, the encoder outputs at the masked positions,
    the logits of a masked LM are

        logits = layer_norm(activation(x W + b)) E^T + c

    `W` `(D, E)` and `b` `(E,)` are a dense layer, the table `E` `(V, E)` holds
    the token embeddings, and `c` `(V,)` is the output bias. This is the head of
    the authors' generator. The layer returns the left factor and `c`. It does
    not hold `E`, which the backbone owns; see `part` of its call.

    Letters: B batch, T length, N masked slots, D hidden width, E embedding
    width, V vocabulary.

    `keras_hub.layers.MaskedLMHead` fails in mixed precision: it adds a float32
    bias to half-precision logits.

    Args:
        vocabulary_size: int. Number of token ids.
        embedding_dim: int. Width of the embeddings.
        activation: activation of the dense layer, or its name.
        layer_norm_epsilon: float. Added to variances for stability.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor of shape `(batch, length, hidden_dim)`, the encoder
            outputs.
        mask_positions: integer tensor of shape `(batch, masked)`.

    Output shape:
        Dict of `vectors`, `(batch, masked, embedding_dim)`, and `bias`,
        `(vocabulary_size,)`.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        activation: Activation,
        layer_norm_epsilon: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.activation = keras.activations.get(activation)
        self.layer_norm_epsilon = layer_norm_epsilon
        self.dense = keras.layers.Dense(
            embedding_dim,
            activation=self.activation,
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
            shape=(self.vocabulary_size,),
            initializer="zeros",
        )

    def call(self, inputs: Tensor, mask_positions: Tensor) -> dict[str, Tensor]:
        indices = ops.expand_dims(mask_positions, -1)  # (B, N, 1)
        x = ops.take_along_axis(inputs, indices, axis=1)  # (B, N, D)
        return {
            "vectors": self.layer_norm(self.dense(x)),  # (B, N, E)
            "bias": ops.convert_to_tensor(self.output_bias),  # (V,)
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
            self.embedding_dim,
            self.vocabulary_size,
            slots,
            size,
        )

    def compute_output_spec(
        self, inputs: Tensor, mask_positions: Tensor
    ) -> dict[str, keras.KerasTensor]:
        shape = (*mask_positions.shape, self.embedding_dim)
        return {
            "vectors": keras.KerasTensor(shape, self.compute_dtype),
            "bias": keras.KerasTensor(
                (self.vocabulary_size,), self.compute_dtype
            ),
        }

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "activation": keras.activations.serialize(self.activation),
            "layer_norm_epsilon": self.layer_norm_epsilon,
        }
