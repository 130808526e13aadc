from typing import Any

import keras

from keras_convbert.layers.padding_masks import resolve_padding_mask
from keras_convbert.layers.padding_masks import zero_masked
from keras_convbert.layers.projection_layer import ProjectionLayer
from keras_convbert.layers.seeded_dropout import SeededDropout
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.layers.validation import check_rates
from keras_convbert.ops.time_padding import padding_widths
from keras_convbert.types import Config
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


class HeadSharedConv1D(ProjectionLayer):
    """Base of convolutions whose kernels are shared by the channels of a head.

    A subclass creates its weights (`_build_weights`), computes the kernels
    (`_kernels`, `_kernels_shape`) and applies them (`_convolve`).
    """

    def __init__(
        self,
        kernel_size: int,
        num_heads: int,
        padding: str,
        weight_softmax: bool,
        weight_dropout: float,
        use_bias: bool,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        check_positive_integers(kernel_size=kernel_size, num_heads=num_heads)
        padding_widths(kernel_size, padding)
        check_rates(weight_dropout=weight_dropout)
        super().__init__(**kwargs)
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
        self._build_weights(inputs_shape)
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
        kernels = self._kernels(inputs)
        dropped = self.weight_dropout_layer(kernels, training=training)
        outputs = self._convolve(inputs, dropped)  # (B, T, D)
        return (outputs, kernels) if return_kernels else outputs

    def _build_weights(self, inputs_shape: Shape) -> None:
        """Creates the weights for inputs `(B, T, D)`."""
        raise NotImplementedError

    def _kernels(self, inputs: Tensor) -> Tensor:
        """The normalized kernels, before dropout."""
        raise NotImplementedError

    def _convolve(self, inputs: Tensor, kernels: Tensor) -> Tensor:
        """The outputs `(B, T, D)`, with the bias if there is one."""
        raise NotImplementedError

    def _kernels_shape(self, inputs_shape: Shape) -> Shape:
        """The shape of the kernels for inputs `(B, T, D)`."""
        raise NotImplementedError

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
            self._kernels_shape(inputs.shape), dtype=self.compute_dtype
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
