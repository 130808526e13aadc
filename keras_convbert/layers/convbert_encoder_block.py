from typing import Any

import keras

from keras_convbert.layers.grouped_dense import GroupedDense
from keras_convbert.layers.mixed_attention import MixedAttention
from keras_convbert.layers.padding_masks import resolve_padding_mask
from keras_convbert.layers.projection_layer import ProjectionLayer
from keras_convbert.layers.seeded_dropout import SeededDropout
from keras_convbert.layers.validation import check_odd
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.layers.validation import check_rates
from keras_convbert.ops.feed_forward import activate
from keras_convbert.ops.feed_forward import feed_forward
from keras_convbert.ops.feed_forward import num_partitions
from keras_convbert.ops.precision import add_promoted
from keras_convbert.types import Activation
from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertEncoderBlock(ProjectionLayer):
    """One ConvBERT layer: mixed attention, then a grouped feed-forward.

        y = layer_norm(x + dropout(mixed_attention(x)))
        z = layer_norm(y + dropout(output_dense(activation(intermediate(y)))))

    The bottleneck: each branch of the attention has
    `max(1, num_heads // head_ratio)` heads of `head_dim` features.

    Args:
        hidden_dim: int. Features of the input and the output.
        intermediate_dim: int. Features inside the feed-forward.
        num_heads: int. Heads before the bottleneck.
        head_ratio: int. Divisor of the number of heads. Defaults to `2`.
        kernel_size: int. Positions in a span of the convolution, odd.
            Defaults to `9`.
        head_dim: int. Features per head; `None` is
            `hidden_dim / num_heads`. Defaults to `None`.
        num_groups: int. Groups of the feed-forward. Defaults to `1`.
        conv: bool. Whether there is a convolution branch. Defaults to `True`.
        mask_conv: bool. Whether to zero padded positions before the
            convolution. Defaults to `True`.
        dropout: float. Probability to drop a feature in training, before each
            residual sum. Defaults to `0.1`.
        attention_dropout: float. Probability to drop an attention probability
            in training. Defaults to `0.1`.
        activation: activation of the feed-forward, or its name; `"gelu"` is
            the exact (erf) form. Defaults to `"gelu"`.
        layer_norm_epsilon: float. Added to variances. Defaults to `1e-12`.
        gradient_checkpointing: bool. Whether to recompute the block in the
            backward pass instead of keeping its activations. Defaults to
            `False`.
        kernel_initializer: initializer of the projections; `None` is a
            truncated normal of standard deviation 0.02, as in the code of the
            authors. Defaults to `None`.
        bias_initializer: initializer of the biases. Defaults to `"zeros"`.
        kernel_regularizer: regularizer of all kernels. Defaults to `None`.
        bias_regularizer: regularizer of the biases. Defaults to `None`.
        kernel_constraint: constraint of all kernels. Defaults to `None`.
        bias_constraint: constraint of the biases. Defaults to `None`.
        seed: int. Seed of all dropout. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor of shape `(batch, length, hidden_dim)`.
        padding_mask: tensor of shape `(batch, length)`, nonzero at real
            tokens. Defaults to the Keras mask of `inputs`, else all positions
            count.
        attention_mask: tensor of shape `(batch, length, length)`, true where
            a query (row) may attend to a key (column).
        return_attention_scores: bool. Whether to also return the attention
            probabilities and the convolution kernels.
        training: bool. Whether to apply dropout.

    Output shape:
        `(batch, length, hidden_dim)`. With `return_attention_scores` a tuple
        of the outputs, scores and kernels, as for `MixedAttention`.

    Raises:
        ValueError: if a size is not a positive integer, `kernel_size` is even,
            a rate is outside [0, 1), `num_heads` does not divide `hidden_dim`
            and `head_dim` is `None`, or `num_groups` does not divide
            `hidden_dim` and `intermediate_dim`.

    Example:

    ```python
    import numpy as np
    from keras_convbert.layers import ConvBertEncoderBlock

    block = ConvBertEncoderBlock(
        hidden_dim=32, intermediate_dim=64, num_heads=4, num_groups=2
    )
    outputs = block(np.ones((2, 10, 32), dtype="float32"))  # (2, 10, 32)
    ```

    Reference:
        - [ConvBERT](https://arxiv.org/abs/2008.02496), section 3.3
    """

    def __init__(
        self,
        hidden_dim: int,
        intermediate_dim: int,
        num_heads: int,
        head_ratio: int = 2,
        kernel_size: int = 9,
        head_dim: int | None = None,
        num_groups: int = 1,
        conv: bool = True,
        mask_conv: bool = True,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation: Activation = "gelu",
        layer_norm_epsilon: float = 1e-12,
        gradient_checkpointing: bool = False,
        kernel_initializer: Initializer = None,
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_positive_integers(
            hidden_dim=hidden_dim,
            intermediate_dim=intermediate_dim,
            num_heads=num_heads,
            head_ratio=head_ratio,
            num_groups=num_groups,
        )
        check_odd(kernel_size=kernel_size)
        check_rates(dropout=dropout, attention_dropout=attention_dropout)
        if head_dim is not None:
            check_positive_integers(head_dim=head_dim)
        elif hidden_dim % num_heads:
            raise ValueError(
                "Expected `hidden_dim` to be a multiple of `num_heads`, or "
                "`head_dim` to be given. Received: "
                f"hidden_dim={hidden_dim}, num_heads={num_heads}"
            )
        if hidden_dim % num_groups or intermediate_dim % num_groups:
            raise ValueError(
                "Expected `hidden_dim` and `intermediate_dim` to be multiples "
                f"of `num_groups`. Received: hidden_dim={hidden_dim}, "
                f"intermediate_dim={intermediate_dim}, num_groups={num_groups}"
            )
        super().__init__(
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: hidden_dim})
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.num_heads = num_heads
        self.head_ratio = head_ratio
        self.kernel_size = kernel_size
        self.head_dim = head_dim
        self.num_groups = num_groups
        self.conv = conv
        self.mask_conv = mask_conv
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.activation = keras.activations.get(activation)
        self.layer_norm_epsilon = layer_norm_epsilon
        self.gradient_checkpointing = gradient_checkpointing
        self.seed = seed

    def build(self, inputs_shape: Shape) -> None:
        self.mixed_attention = MixedAttention(
            num_heads=max(1, self.num_heads // self.head_ratio),
            head_dim=self.head_dim or self.hidden_dim // self.num_heads,
            kernel_size=self.kernel_size,
            output_dim=self.hidden_dim,
            dropout=self.attention_dropout,
            conv=self.conv,
            mask_conv=self.mask_conv,
            seed=self.seed,
            dtype=self.dtype_policy,
            name="mixed_attention",
            **self._weight_options(),
        )
        self.mixed_attention.build(inputs_shape)
        self.attention_layer_norm = self._layer_norm("attention_layer_norm")
        self.attention_layer_norm.build(inputs_shape)
        self.intermediate = self._grouped_dense(
            self.intermediate_dim, "intermediate"
        )
        self.intermediate.build(inputs_shape)
        self.output_dense = self._grouped_dense(self.hidden_dim, "output_dense")
        self.output_dense.build((*inputs_shape[:-1], self.intermediate_dim))
        self.output_layer_norm = self._layer_norm("output_layer_norm")
        self.output_layer_norm.build(inputs_shape)
        self.attention_output_dropout = self._dropout(
            "attention_output_dropout", 1
        )
        self.output_dropout = self._dropout("output_dropout", 2)

    def _layer_norm(self, name: str) -> keras.layers.LayerNormalization:
        return keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon,
            dtype=self._policy_of(name),
            name=name,
        )

    def _grouped_dense(self, units: int, name: str) -> keras.layers.Layer:
        if self.num_groups == 1:
            return self._dense(units, name)
        return GroupedDense(
            units,
            groups=self.num_groups,
            dtype=self.dtype_policy,
            name=name,
            **self._weight_options(),
        )

    def _dropout(self, name: str, seed_offset: int) -> SeededDropout:
        seed = None if self.seed is None else self.seed + seed_offset
        return SeededDropout(
            self.dropout, seed=seed, dtype=self._policy_of(name), name=name
        )

    def call(
        self,
        inputs: Tensor,
        padding_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        padding_mask = resolve_padding_mask(inputs, padding_mask)
        masks = (padding_mask, attention_mask)
        if return_attention_scores:
            mixed, scores, kernels = self.mixed_attention(
                inputs, *masks, return_attention_scores=True, training=training
            )
            outputs = self._finish(inputs, mixed, training)
            return outputs, scores, kernels
        if self.gradient_checkpointing and training:
            return self._checkpointed(inputs, *masks)
        mixed = self.mixed_attention(inputs, *masks, training=training)
        return self._finish(inputs, mixed, training)

    def _finish(
        self,
        inputs: Tensor,
        mixed: Tensor,
        training: bool | None,
        seeds: tuple[Tensor | None, ...] = (None, None),
    ) -> Tensor:
        if training:
            mixed = self.attention_output_dropout(
                mixed, training=True, dropout_seed=seeds[0]
            )
        x = self.attention_layer_norm(add_promoted(inputs, mixed))
        y = self._feed_forward(x)
        if training:
            y = self.output_dropout(y, training=True, dropout_seed=seeds[1])
        return self.output_layer_norm(add_promoted(x, y))

    def _feed_forward(self, inputs: Tensor) -> Tensor:
        first, second = self.intermediate, self.output_dense
        partitions = num_partitions(
            self.intermediate_dim, self.compute_dtype, self.activation
        )
        if partitions > 1 and all(
            self._is_plain(layer, inputs) for layer in (first, second)
        ):
            return feed_forward(
                inputs,
                (first.kernel, first.bias),
                self.activation,
                (second.kernel, second.bias),
                partitions,
            )
        hidden = activate(self.activation, self._project(first, inputs))
        return self._project(second, hidden)

    def _checkpointed(
        self,
        inputs: Tensor,
        padding_mask: Tensor | None,
        attention_mask: Tensor | None,
    ) -> Tensor:
        """Computes the training pass, and again in the backward pass.

        Seeds are drawn outside of `block`, because a recomputation must not
        advance a generator. TensorFlow differentiates with respect to every
        argument, and masks and seeds have no gradient, so `inputs` is the
        only argument of `block`.
        """
        attention_seed = self.mixed_attention.draw_dropout_seed()
        seeds = (
            self.attention_output_dropout.draw_seed(),
            self.output_dropout.draw_seed(),
        )

        def block(inputs: Tensor) -> Tensor:
            mixed = self.mixed_attention(
                inputs,
                padding_mask=padding_mask,
                attention_mask=attention_mask,
                training=True,
                dropout_seed=attention_seed,
            )
            return self._finish(inputs, mixed, True, seeds)

        return keras.remat(block)(inputs)

    def compute_output_spec(
        self,
        inputs: Tensor,
        padding_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        return self.mixed_attention.compute_output_spec(
            inputs, return_attention_scores=return_attention_scores
        )

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return inputs_shape

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "intermediate_dim": self.intermediate_dim,
            "num_heads": self.num_heads,
            "head_ratio": self.head_ratio,
            "kernel_size": self.kernel_size,
            "head_dim": self.head_dim,
            "num_groups": self.num_groups,
            "conv": self.conv,
            "mask_conv": self.mask_conv,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "activation": keras.activations.serialize(self.activation),
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "gradient_checkpointing": self.gradient_checkpointing,
            "seed": self.seed,
        }
