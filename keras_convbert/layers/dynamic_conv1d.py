from typing import Any

import keras
from keras import ops

from keras_convbert.layers.padding_masks import resolve_padding_mask
from keras_convbert.layers.padding_masks import zero_masked
from keras_convbert.layers.projection_layer import ProjectionLayer
from keras_convbert.layers.projection_layer import clone_initializer
from keras_convbert.layers.seeded_dropout import SeededDropout
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.layers.validation import check_rates
from keras_convbert.ops.dynamic_conv import dynamic_conv1d
from keras_convbert.ops.time_padding import padding_widths
from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class DynamicConv1D(ProjectionLayer):
    """Lightweight convolution whose kernels each position predicts itself.

    `kernels[b, t] = softmax(x[b, t] W + b)`, one kernel for each of
    `num_heads` contiguous blocks of channels, and
    `y[b, t, c] = sum_k kernels[b, t, h(c), k] x[b, t + k - P, c]`. Its cost
    is linear in the length.

    Args:
        kernel_size: int. Number of taps.
        num_heads: int. Kernels of a position; divides the channels.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.
        weight_softmax: bool. Whether the kernels are normalised. Defaults to
            `True`.
        weight_dropout: float. Share of the normalised weights dropped in
            training (DropConnect), each by itself. Defaults to `0.0`.
        use_bias: bool. Whether the kernels' projection has a bias. Defaults
            to `False`.
        use_conv_bias: bool. Whether to add a bias to the output. Defaults to
            `False`.
        kernel_initializer: initializer of the projection. Defaults to
            `"glorot_uniform"`.
        bias_initializer: initializer of both biases. Defaults to `"zeros"`.
        kernel_regularizer: regularizer of the projection. Defaults to `None`.
        bias_regularizer: regularizer of both biases. Defaults to `None`.
        kernel_constraint: constraint of the projection. Defaults to `None`.
        bias_constraint: constraint of both biases. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor of shape `(batch, length, channels)`.
        padding_mask: tensor of shape `(batch, length)`, true (or non-zero) at
            positions that hold something; the others are taken for zeros.
            Without it the Keras mask of `inputs` counts.
        training: bool. Whether dropout acts.
        return_kernels: bool. Whether to return the kernels as well.

    Output shape:
        `(batch, length, channels)`; with `return_kernels` also the kernels,
        `(batch, length, num_heads, kernel_size)`.

    Raises:
        ValueError: if a size is no positive integer, `padding` is unknown,
            `weight_dropout` lies outside [0, 1), or `num_heads` does not
            divide the channels.

    Example:

    ```python
    import keras
    from keras_convbert.layers import DynamicConv1D

    inputs = keras.Input((None, 16))
    x = DynamicConv1D(kernel_size=7, num_heads=4)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    ```

    Reference:
        - [Pay Less Attention with Lightweight and Dynamic Convolutions](
          https://arxiv.org/abs/1901.10430), section 3.2
    """

    def __init__(
        self,
        kernel_size: int,
        num_heads: int,
        padding: str = "same",
        weight_softmax: bool = True,
        weight_dropout: float = 0.0,
        use_bias: bool = False,
        use_conv_bias: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_positive_integers(kernel_size=kernel_size, num_heads=num_heads)
        padding_widths(kernel_size, padding)
        check_rates(weight_dropout=weight_dropout)
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
        self.kernel_size = kernel_size
        self.num_heads = num_heads
        self.padding = padding
        self.weight_softmax = weight_softmax
        self.weight_dropout = weight_dropout
        self.use_bias = use_bias
        self.use_conv_bias = use_conv_bias
        self.seed = seed

    def build(self, inputs_shape: Shape) -> None:
        channels = inputs_shape[-1]
        if channels is None or channels % self.num_heads:
            raise ValueError(
                "Expected the channels of the input to be a multiple of "
                f"`num_heads`. Received: input_shape={tuple(inputs_shape)}, "
                f"num_heads={self.num_heads}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: channels})
        self.kernel_predictor = self._dense(
            self.num_heads * self.kernel_size,
            "kernel_predictor",
            use_bias=self.use_bias,
        )
        self.kernel_predictor.build(inputs_shape)
        self.conv_bias = None
        if self.use_conv_bias:
            self.conv_bias = self.add_weight(
                name="conv_bias",
                shape=(channels,),
                initializer=clone_initializer(self.bias_initializer),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.weight_dropout_layer = SeededDropout(
            self.weight_dropout,
            seed=self.seed,
            dtype=self._policy_of("weight_dropout_layer"),
            name="weight_dropout_layer",
        )

    @property
    def kernel(self) -> Tensor:
        """Weight `(channels, num_heads * kernel_size)`, head by head."""
        return self.kernel_predictor.kernel

    @property
    def bias(self) -> Tensor | None:
        """Weight `(num_heads * kernel_size,)`, or `None`."""
        return self.kernel_predictor.bias

    def call(
        self,
        inputs: Tensor,
        padding_mask: Tensor | None = None,
        training: bool | None = None,
        return_kernels: bool = False,
    ) -> Any:
        inputs = zero_masked(inputs, resolve_padding_mask(inputs, padding_mask))
        kernels = self._kernels(inputs)
        dropped = self.weight_dropout_layer(kernels, training=training)
        outputs = dynamic_conv1d(inputs, dropped, self.padding)  # (B, T, C)
        if self.conv_bias is not None:
            outputs = outputs + self.conv_bias
        return (outputs, kernels) if return_kernels else outputs

    def _kernels(self, inputs: Tensor) -> Tensor:
        logits = self.kernel_predictor(inputs)  # (B, T, H * K)
        kernels = ops.reshape(
            logits,
            (-1, ops.shape(inputs)[1], self.num_heads, self.kernel_size),
        )  # (B, T, H, K)
        if self.weight_softmax:
            kernels = ops.softmax(ops.cast(kernels, "float32"), axis=-1)
        return ops.cast(kernels, self.compute_dtype)

    def compute_output_spec(
        self,
        inputs: Tensor,
        padding_mask: Tensor | None = None,
        training: bool | None = None,
        return_kernels: bool = False,
    ) -> Any:
        outputs = keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
        if not return_kernels:
            return outputs
        kernels_shape = (*inputs.shape[:2], self.num_heads, self.kernel_size)
        return outputs, keras.KerasTensor(
            kernels_shape, dtype=self.compute_dtype
        )

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return inputs_shape

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "num_heads": self.num_heads,
            "padding": self.padding,
            "weight_softmax": self.weight_softmax,
            "weight_dropout": self.weight_dropout,
            "use_bias": self.use_bias,
            "use_conv_bias": self.use_conv_bias,
            "seed": self.seed,
        }
