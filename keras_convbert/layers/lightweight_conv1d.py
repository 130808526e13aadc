from typing import Any

import keras
from keras import ops

from keras_convbert.layers.head_shared_conv1d import HeadSharedConv1D
from keras_convbert.ops.lightweight_conv import lightweight_conv1d
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class LightweightConv1D(HeadSharedConv1D):
    """Depthwise convolution with one normalized kernel per head.

    The D channels form `num_heads` contiguous heads of R features. Each head
    has one kernel of `kernel_size` weights, normalized by a softmax over its
    taps:

        y[b, t, d] = sum_k softmax(kernel[d // R])[k] * x[b, t + k - P, d]

    `P` is the left padding: `(kernel_size - 1) // 2` for `"same"`,
    `kernel_size - 1` for `"causal"`.

    Args:
        kernel_size: int. Number of taps.
        num_heads: int. Number of kernels, a divisor of the channels.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.
        weight_softmax: bool. Whether to normalize the kernels. Defaults to
            `True`.
        weight_dropout: float. Probability to drop a normalized weight in
            training (DropConnect), with one mask `(num_heads, kernel_size)`
            per call. Defaults to `0.0`.
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
        padding_mask: tensor of shape `(batch, length)`, nonzero at real
            tokens; the other positions are zeroed before the convolution.
            Defaults to the Keras mask of `inputs`, else all positions count.
        training: bool. Whether to apply dropout.
        return_kernels: bool. Whether to also return the kernels.

    Output shape:
        `(batch, length, channels)`; with `return_kernels` also the kernels
        `(num_heads, kernel_size)`.

    Raises:
        ValueError: if a size is not a positive integer, `padding` is unknown,
            `weight_dropout` is outside [0, 1), or `num_heads` does not
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

    def _build_weights(self, inputs_shape: Shape) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.num_heads, self.kernel_size),
            autocast=False,  # the softmax needs float32
            **self._kernel_options(),
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=inputs_shape[-1:], **self._bias_options()
            )

    def _kernels(self, inputs: Tensor) -> Tensor:
        kernels = ops.convert_to_tensor(self.kernel)  # (H, K)
        if self.weight_softmax:
            kernels = ops.softmax(kernels, axis=-1)
        return ops.cast(kernels, self.compute_dtype)

    def _convolve(self, inputs: Tensor, kernels: Tensor) -> Tensor:
        outputs = lightweight_conv1d(inputs, kernels, self.padding)
        return outputs if self.bias is None else outputs + self.bias

    def _kernels_shape(self, inputs_shape: Shape) -> Shape:
        return (self.num_heads, self.kernel_size)
