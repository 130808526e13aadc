from typing import Any

import keras
from keras import ops

from keras_convbert.layers.padding_masks import resolve_padding_mask
from keras_convbert.layers.padding_masks import zero_masked
from keras_convbert.layers.projection_layer import ProjectionLayer
from keras_convbert.layers.validation import check_odd
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.ops.depthwise_conv import depthwise_conv1d
from keras_convbert.ops.dynamic_conv import dynamic_conv_of_heads
from keras_convbert.ops.precision import upcast
from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class SpanBasedDynamicConv1D(ProjectionLayer):
    """Convolution whose kernels come from a query and the span around it.

    A depthwise convolution and a projection turn the span of `kernel_size`
    inputs around each position into a key. The product of key and query is
    projected to one kernel per head, normalized by a softmax over its taps.
    The kernels then mix a projection of the inputs:

        key = depthwise_conv(inputs) W_s + b_s          # (B, T, H, R)
        kernels = softmax((key * query) W_f + b_f)      # (B, T, H, K)
        outputs = dynamic_conv(inputs W_v + b_v, kernels)   # (B, T, H, R)

    Taps beyond the ends of a sequence read zeros, and the softmax is not
    renormalized. Masked padding is zeroed too, so that the outputs at real
    tokens do not depend on the padding.

    Args:
        num_heads: int. Number of kernels per position.
        head_dim: int. Features per head.
        kernel_size: int. Positions in a span, odd. Defaults to `9`.
        kernel_initializer: initializer of the projections; `None` is a
            truncated normal of standard deviation 0.02, as in the code of the
            authors. The depthwise kernel always gets a truncated normal of
            standard deviation `1 / kernel_size`. Defaults to `None`.
        bias_initializer: initializer of the biases. Defaults to `"zeros"`.
        kernel_regularizer: regularizer of all kernels. Defaults to `None`.
        bias_regularizer: regularizer of the biases. Defaults to `None`.
        kernel_constraint: constraint of all kernels. Defaults to `None`.
        bias_constraint: constraint of the biases. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor of shape `(batch, length, features)`.
        query: tensor of shape `(batch, length, num_heads, head_dim)`.
        padding_mask: tensor of shape `(batch, length)`, nonzero at real
            tokens. Defaults to the Keras mask of `inputs`, else all positions
            count.
        return_kernels: bool. Whether to also return the kernels.

    Output shape:
        `(batch, length, num_heads, head_dim)`; with `return_kernels` also the
        kernels `(batch, length, num_heads, kernel_size)`.

    Raises:
        ValueError: if a size is not a positive integer, or `kernel_size` is
            even.

    Example:

    ```python
    import numpy as np
    from keras_convbert.layers import SpanBasedDynamicConv1D

    layer = SpanBasedDynamicConv1D(num_heads=2, head_dim=4, kernel_size=3)
    inputs = np.ones((1, 5, 16), dtype="float32")
    query = np.ones((1, 5, 2, 4), dtype="float32")
    outputs = layer(inputs, query)  # (1, 5, 2, 4)
    ```

    Reference:
        - [ConvBERT](https://arxiv.org/abs/2008.02496), section 3.2. The
          values have their own projection, as in the code of the authors.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        kernel_size: int = 9,
        kernel_initializer: Initializer = None,
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        **kwargs: Any,
    ) -> None:
        check_positive_integers(num_heads=num_heads, head_dim=head_dim)
        check_odd(kernel_size=kernel_size)
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

    def build(
        self, inputs_shape: Shape, query_shape: Shape | None = None
    ) -> None:
        heads = (self.num_heads, self.head_dim)
        if query_shape is not None and tuple(query_shape[2:]) != heads:
            raise ValueError(
                "Expected `query` of shape (batch, length, num_heads="
                f"{self.num_heads}, head_dim={self.head_dim}). "
                f"Received: query.shape={tuple(query_shape)}"
            )
        self.input_spec = keras.layers.InputSpec(
            ndim=3, axes={-1: inputs_shape[-1]}
        )
        self.depthwise_kernel = self.add_weight(
            name="depthwise_kernel",
            shape=(self.kernel_size, inputs_shape[-1]),
            initializer=keras.initializers.TruncatedNormal(
                stddev=1.0 / self.kernel_size
            ),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.span_key = self._einsum_dense(
            "btd,dhr->bthr", (None, *heads), "hr", "span_key"
        )
        self.kernel_generator = self._einsum_dense(
            "bthr,hrgk->btgk",  # g: the heads of the kernels
            (None, self.num_heads, self.kernel_size),
            "gk",
            "kernel_generator",
        )
        self.value = self._einsum_dense(
            "btd,dhr->bthr", (None, *heads), "hr", "value"
        )
        self.span_key.build(inputs_shape)
        self.kernel_generator.build((*inputs_shape[:2], *heads))
        self.value.build(inputs_shape)

    def call(
        self,
        inputs: Tensor,
        query: Tensor,
        padding_mask: Tensor | None = None,
        return_kernels: bool = False,
    ) -> Any:
        padding_mask = resolve_padding_mask(inputs, padding_mask)
        kernels = self._kernels(zero_masked(inputs, padding_mask), query)
        values = zero_masked(self._project(self.value, inputs), padding_mask)
        outputs = dynamic_conv_of_heads(values, kernels)
        return (outputs, kernels) if return_kernels else outputs

    def _kernels(self, inputs: Tensor, query: Tensor) -> Tensor:
        span = depthwise_conv1d(inputs, self.depthwise_kernel)  # (B, T, D)
        key = self._project(self.span_key, span)  # (B, T, H, R)
        product = ops.multiply(key, query)  # (B, T, H, R)
        logits = self._project(self.kernel_generator, product, axes=2)
        kernels = ops.softmax(upcast(logits), axis=-1)  # (B, T, H, K)
        return ops.cast(kernels, self.compute_dtype)

    def compute_output_spec(
        self,
        inputs: Tensor,
        query: Tensor,
        padding_mask: Tensor | None = None,
        return_kernels: bool = False,
    ) -> Any:
        outer = (*inputs.shape[:2], self.num_heads)
        outputs = keras.KerasTensor(
            (*outer, self.head_dim), dtype=self.compute_dtype
        )
        if not return_kernels:
            return outputs
        kernels = keras.KerasTensor(
            (*outer, self.kernel_size), dtype=self.compute_dtype
        )
        return outputs, kernels

    def compute_output_shape(
        self, inputs_shape: Shape, query_shape: Shape | None = None
    ) -> Shape:
        return (*inputs_shape[:2], self.num_heads, self.head_dim)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "kernel_size": self.kernel_size,
        }
