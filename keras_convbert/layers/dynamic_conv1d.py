from typing import Any

import keras
from keras import ops

from keras_convbert.layers.head_shared_conv1d import HeadSharedConv1D
from keras_convbert.ops.dynamic_conv import dynamic_conv1d
from keras_convbert.ops.precision import upcast
from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class DynamicConv1D(HeadSharedConv1D):
    """Lightweight convolution whose kernels are predicted per position.

    The D channels form `num_heads` contiguous heads of R features. A dense
    projection predicts one kernel per position and head:

        kernels[b, t] = softmax(x[b, t] W + b)
        y[b, t, d] = sum_k kernels[b, t, d // R, k] * x[b, t + k - P, d]

    `P` is the left padding: `(kernel_size - 1) // 2` for `"same"`,
    `kernel_size - 1` for `"causal"`. The cost is linear in the length.

    Args:
        kernel_size: int. Number of taps.
        num_heads: int. Number of kernels per position, a divisor of the
            channels.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.
        weight_softmax: bool. Whether to normalize the kernels with a softmax.
            Defaults to `True`.
        weight_dropout: float. Probability to drop a normalized weight in
            training (DropConnect), each independently. Defaults to `0.0`.
        use_bias: bool. Whether the projection to the kernels has a bias.
            Defaults to `False`.
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
        padding_mask: tensor of shape `(batch, length)`, nonzero at real
            tokens; the other positions are zeroed before the convolution.
            Defaults to the Keras mask of `inputs`, else all positions count.
        training: bool. Whether to apply dropout.
        return_kernels: bool. Whether to also return the kernels.

    Output shape:
        `(batch, length, channels)`; with `return_kernels` also the kernels
        `(batch, length, num_heads, kernel_size)`.

    Raises:
        ValueError: if a size is not a positive integer, `padding` is unknown,
            `weight_dropout` is outside [0, 1), or `num_heads` does not
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
        super().__init__(
            kernel_size=kernel_size,
            num_heads=num_heads,
            padding=padding,
            weight_softmax=weight_softmax,
            weight_dropout=weight_dropout,
            use_bias=use_bias,
            seed=seed,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.use_conv_bias = use_conv_bias

    def _build_weights(self, inputs_shape: Shape) -> None:
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
                shape=inputs_shape[-1:],
                **self._bias_options(),
            )

    @property
    def kernel(self) -> Tensor:
        """Weight `(channels, num_heads * kernel_size)`, head by head."""
        return self.kernel_predictor.kernel

    @property
    def bias(self) -> Tensor | None:
        """Weight `(num_heads * kernel_size,)`, or `None`."""
        return self.kernel_predictor.bias

    def _kernels(self, inputs: Tensor) -> Tensor:
        logits = self.kernel_predictor(inputs)  # (B, T, H * K)
        kernels = ops.reshape(
            logits,
            (*ops.shape(inputs)[:2], self.num_heads, self.kernel_size),
        )  # (B, T, H, K)
        if self.weight_softmax:
            kernels = ops.softmax(upcast(kernels), axis=-1)
        return ops.cast(kernels, self.compute_dtype)

    def _convolve(self, inputs: Tensor, kernels: Tensor) -> Tensor:
        outputs = dynamic_conv1d(inputs, kernels, self.padding)
        return outputs if self.conv_bias is None else outputs + self.conv_bias

    def _kernels_shape(self, inputs_shape: Shape) -> Shape:
        return (*inputs_shape[:2], self.num_heads, self.kernel_size)

    def get_config(self) -> Config:
        return {**super().get_config(), "use_conv_bias": self.use_conv_bias}
