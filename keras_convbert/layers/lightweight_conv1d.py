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
from keras_convbert.ops.lightweight_conv import lightweight_conv1d
from keras_convbert.ops.time_padding import padding_widths
from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class LightweightConv1D(ProjectionLayer):
    """Depthwise convolution whose kernels are shared and normalised.

    The channels are cut into `num_heads` contiguous blocks, each with one
    kernel of `kernel_size` weights, normalised by a softmax over its taps:
    `y[b, t, c] = sum_k softmax(kernel[h(c)])[k] x[b, t + k - P, c]`.

    Args:
        kernel_size: int. Number of taps.
        num_heads: int. Number of kernels; divides the channels.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.
        weight_softmax: bool. Whether the kernels are normalised. Defaults to
            `True`.
        weight_dropout: float. Share of the normalised weights dropped in
            training (DropConnect), one mask `(num_heads, kernel_size)` a
            call. Defaults to `0.0`.
        use_bias: bool. Whether to add a bias to the output. Defaults to
            `False`.
        kernel_initializer: initializer of the kernels. Defaults to
            `"glorot_uniform"`.
        bias_initializer: initializer of the bias. Defaults to `"zeros"`.
        kernel_regularizer: regularizer of the kernels. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        kernel_constraint: constraint of the kernels. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
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
        `(num_heads, kernel_size)`.

    Raises:
        ValueError: if a size is no positive integer, `padding` is unknown,
            `weight_dropout` lies outside [0, 1), or `num_heads` does not
            divide the channels.

    Example:

    ```python
    import numpy as np
    from keras_convbert.layers import LightweightConv1D

    layer = LightweightConv1D(kernel_size=3, num_heads=2, padding="causal")
    outputs = layer(np.ones((1, 7, 8), dtype="float32"))  # (1, 7, 8)
    ```

    Reference:
        - [Pay Less Attention with Lightweight and Dynamic Convolutions](
          https://arxiv.org/abs/1901.10430), section 3.1
    """

    def __init__(
        self,
        kernel_size: int,
        num_heads: int,
        padding: str = "same",
        weight_softmax: bool = True,
        weight_dropout: float = 0.0,
        use_bias: bool = False,
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
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_heads, self.kernel_size),
            initializer=clone_initializer(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            autocast=False,  # the softmax wants all digits
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
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

    def call(
        self,
        inputs: Tensor,
        padding_mask: Tensor | None = None,
        training: bool | None = None,
        return_kernels: bool = False,
    ) -> Any:
        inputs = zero_masked(inputs, resolve_padding_mask(inputs, padding_mask))
        kernels = ops.convert_to_tensor(self.kernel)  # (H, K)
        if self.weight_softmax:
            kernels = ops.softmax(kernels, axis=-1)
        kernels = ops.cast(kernels, self.compute_dtype)
        dropped = self.weight_dropout_layer(kernels, training=training)
        outputs = lightweight_conv1d(inputs, dropped, self.padding)  # (B, T, C)
        if self.bias is not None:
            outputs = outputs + self.bias
        return (outputs, kernels) if return_kernels else outputs

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
        return outputs, keras.KerasTensor(
            (self.num_heads, self.kernel_size), dtype=self.compute_dtype
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
            "seed": self.seed,
        }
