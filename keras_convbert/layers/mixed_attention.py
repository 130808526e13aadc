import math
from typing import Any

import keras
from keras import ops

from keras_convbert.layers.padding_masks import merge_attention_masks
from keras_convbert.layers.padding_masks import resolve_padding_mask
from keras_convbert.layers.projection_layer import ProjectionLayer
from keras_convbert.layers.seeded_dropout import SeededDropout
from keras_convbert.layers.span_based_dynamic_conv1d import (
    SpanBasedDynamicConv1D,
)
from keras_convbert.layers.validation import check_odd
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.layers.validation import check_rates
from keras_convbert.ops.attention import fused_attention
from keras_convbert.ops.attention import supports_fused_dropout
from keras_convbert.ops.precision import upcast
from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class MixedAttention(ProjectionLayer):
    """Self-attention heads beside span-based dynamic convolution heads.

    For inputs `X` of shape `(T, D)`, with `H = num_heads` heads per branch of
    `R = head_dim` features:

        Q_h, K_h, V_h = X W_q,h, X W_k,h, X W_v,h             # (T, R) each
        A_h = softmax(Q_h K_h^T / sqrt(R))                    # (T, T)
        heads = [A_1 V_1, ..., A_H V_H]                       # (T, H, R)
        spans = SpanBasedDynamicConv1D(X, Q)                  # (T, H, R)
        outputs = concat(heads, spans) W_o                    # (T, output_dim)

    Each projection also adds a bias. Both branches read the same query `Q`,
    and the output projection reads `2 H R` features, attention first.
    Attention covers the whole sequence, the convolution a span of
    `kernel_size` positions. Without `conv` there are no `spans`, and the layer
    is plain multi-head attention. Masked keys get no weight in the softmax.

    Args:
        num_heads: int. Heads of one branch; with `conv` the layer has twice
            as many.
        head_dim: int. Features per head.
        kernel_size: int. Positions in a span of the convolution, odd.
            Defaults to `9`.
        output_dim: int. Features of the output; `None` is the width of the
            input. Defaults to `None`.
        dropout: float. Probability to drop an attention probability in
            training. Defaults to `0.0`.
        conv: bool. Whether there is a convolution branch. Defaults to `True`.
        mask_conv: bool. Whether to zero padded positions before the
            convolution. If `False`, padding leaks into the positions next to
            it, as in the code of the authors. Defaults to `True`.
        kernel_initializer: initializer of the projections; `None` is a
            truncated normal of standard deviation 0.02, as in the code of the
            authors. Defaults to `None`.
        bias_initializer: initializer of the biases. Defaults to `"zeros"`.
        kernel_regularizer: regularizer of all kernels. Defaults to `None`.
        bias_regularizer: regularizer of the biases. Defaults to `None`.
        kernel_constraint: constraint of all kernels. Defaults to `None`.
        bias_constraint: constraint of the biases. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor of shape `(batch, length, features)`.
        padding_mask: tensor of shape `(batch, length)`, nonzero at real
            tokens. Defaults to the Keras mask of `inputs`, else all positions
            count.
        attention_mask: tensor of shape `(batch, length, length)`, true where
            a query (row) may attend to a key (column). It does not apply to
            the convolution, which always reads both sides.
        return_attention_scores: bool. Whether to also return the attention
            probabilities and the convolution kernels.
        training: bool. Whether to apply dropout.
        dropout_seed: tensor drawn by `draw_dropout_seed()`. Two calls with
            the same seed drop the same probabilities.

    Output shape:
        `(batch, length, output_dim)`. With `return_attention_scores` a tuple
        of the outputs, the scores `(batch, num_heads, length, length)` and
        the kernels `(batch, length, num_heads, kernel_size)`. Without `conv`
        the kernels are `None`, which a functional model does not accept.

    Raises:
        ValueError: if a size is not a positive integer, `kernel_size` is even,
            or `dropout` is outside [0, 1).

    Example:

    ```python
    import keras
    from keras_convbert.layers import MixedAttention

    inputs = keras.Input((None, 32))
    x = keras.layers.LayerNormalization()(inputs)
    x = inputs + MixedAttention(num_heads=2, head_dim=8, dropout=0.1)(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    ```

    Reference:
        - [ConvBERT](https://arxiv.org/abs/2008.02496), section 3.3
        - [Attention Is All You Need](https://arxiv.org/abs/1706.03762),
          section 3.2
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        kernel_size: int = 9,
        output_dim: int | None = None,
        dropout: float = 0.0,
        conv: bool = True,
        mask_conv: bool = True,
        kernel_initializer: Initializer = None,
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_positive_integers(num_heads=num_heads, head_dim=head_dim)
        check_odd(kernel_size=kernel_size)
        check_rates(dropout=dropout)
        if output_dim is not None:
            check_positive_integers(output_dim=output_dim)
        super().__init__(
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.input_spec = keras.layers.InputSpec(ndim=3)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.kernel_size = kernel_size
        self.output_dim = output_dim
        self.dropout = dropout
        self.conv = conv
        self.mask_conv = mask_conv
        self.seed = seed

    def build(self, inputs_shape: Shape) -> None:
        self.input_spec = keras.layers.InputSpec(
            ndim=3, axes={-1: inputs_shape[-1]}
        )
        heads = (self.num_heads, self.head_dim)
        for name in ("query", "key", "value"):
            projection = self._einsum_dense(
                "btd,dhr->bthr", (None, *heads), "hr", name
            )
            projection.build(inputs_shape)
            setattr(self, name, projection)
        self.attention_dropout = SeededDropout(
            self.dropout,
            seed=self.seed,
            dtype=self._policy_of("attention_dropout"),
            name="attention_dropout",
        )
        num_joined = self.num_heads
        if self.conv:
            self.span_conv = SpanBasedDynamicConv1D(
                *heads,
                kernel_size=self.kernel_size,
                dtype=self.dtype_policy,
                name="span_conv",
                **self._weight_options(),
            )
            self.span_conv.build(inputs_shape, (*inputs_shape[:2], *heads))
            num_joined += self.num_heads
        self.output_projection = self._einsum_dense(
            "bthr,hro->bto",
            (None, self.output_dim or inputs_shape[-1]),
            "o",
            "output_projection",
        )
        self.output_projection.build(
            (*inputs_shape[:2], num_joined, self.head_dim)
        )

    def call(
        self,
        inputs: Tensor,
        padding_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        dropout_seed: Tensor | None = None,
    ) -> Any:
        padding_mask = resolve_padding_mask(inputs, padding_mask)
        mask = merge_attention_masks(padding_mask, attention_mask)
        query = self._project(self.query, inputs)  # (B, T, H, R)
        key = self._project(self.key, inputs)
        value = self._project(self.value, inputs)
        scores, kernels = None, None
        dropout = self.dropout if training else 0.0
        if return_attention_scores or (
            dropout and not supports_fused_dropout(query, self.seed is not None)
        ):
            scores = self._scores(query, key, mask)
            dropped = self.attention_dropout(
                scores, training=training, dropout_seed=dropout_seed
            )
            heads = ops.einsum("bhts,bshr->bthr", dropped, value)
        else:
            heads = fused_attention(query, key, value, mask, dropout)
        if self.conv:
            spans, kernels = self.span_conv(
                inputs,
                query,
                padding_mask=self._conv_mask(inputs, padding_mask),
                return_kernels=True,
            )
            heads = ops.concatenate([heads, spans], axis=2)  # (B, T, 2H, R)
        outputs = self._project(
            self.output_projection, heads, axes=2
        )  # (B, T, output_dim)
        if return_attention_scores:
            return outputs, scores, kernels
        return outputs

    def draw_dropout_seed(self) -> Tensor | None:
        """Draws a seed for the call argument `dropout_seed`."""
        return self.attention_dropout.draw_seed()

    def _scores(
        self, query: Tensor, key: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The attention probabilities `softmax(Q K^T / sqrt(R))`."""
        query = query / math.sqrt(self.head_dim)
        logits = ops.einsum("bthr,bshr->bhts", query, key)  # (B, H, T, T)
        logits = upcast(logits)
        if mask is not None:
            logits = ops.where(mask, logits, -1e9)
        return ops.cast(ops.softmax(logits, axis=-1), self.compute_dtype)

    def _conv_mask(
        self, inputs: Tensor, padding_mask: Tensor | None
    ) -> Tensor | None:
        if self.mask_conv or padding_mask is None:
            return padding_mask
        # With `None` the convolution would use the Keras mask of its inputs.
        return ops.ones_like(padding_mask)

    def compute_output_spec(
        self,
        inputs: Tensor,
        padding_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        dropout_seed: Tensor | None = None,
    ) -> Any:
        batch, length, _ = inputs.shape

        def spec(*shape: int | None) -> keras.KerasTensor:
            return keras.KerasTensor(shape, dtype=self.compute_dtype)

        outputs = spec(*self.compute_output_shape(inputs.shape))
        if not return_attention_scores:
            return outputs
        kernels = spec(batch, length, self.num_heads, self.kernel_size)
        return (
            outputs,
            spec(batch, self.num_heads, length, length),
            kernels if self.conv else None,
        )

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return (*inputs_shape[:-1], self.output_dim or inputs_shape[-1])

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "kernel_size": self.kernel_size,
            "output_dim": self.output_dim,
            "dropout": self.dropout,
            "conv": self.conv,
            "mask_conv": self.mask_conv,
            "seed": self.seed,
        }
