from typing import Any

import keras
from keras import ops

from keras_convbert.layers.projection_layer import ProjectionLayer
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.types import Activation
from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class GroupedDense(ProjectionLayer):
    """Block-diagonal dense layer: each group reads only its own features.

    The input features are split into `groups` contiguous blocks. Block `g` is
    multiplied by `kernel[g]`, and the results are concatenated in order:
    `y[.., g, o] = activation(sum_i x[.., g, i] kernel[g, i, o] + bias[g, o])`.
    The layer has `groups` times fewer weights than `keras.layers.Dense`.

    Args:
        units: int. Size of the output, a multiple of `groups`.
        groups: int. Number of blocks. Defaults to `1`.
        activation: activation, its name, or `None` for none. Defaults to
            `None`.
        use_bias: bool. Whether to add a bias. Defaults to `True`.
        kernel_initializer: initializer of the kernel; `None` is a truncated
            normal of standard deviation 0.02, as in the code of the authors.
            Defaults to `None`.
        bias_initializer: initializer of the bias. Defaults to `"zeros"`.
        kernel_regularizer: regularizer of the kernel. Defaults to `None`.
        bias_regularizer: regularizer of the bias. Defaults to `None`.
        kernel_constraint: constraint of the kernel. Defaults to `None`.
        bias_constraint: constraint of the bias. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor of rank 2 or more.

    Input shape:
        `(batch, ..., features)`, where `groups` divides `features`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: if `units` or the input features are not a multiple of
            `groups`.

    Example:

    ```python
    import numpy as np
    from keras_convbert.layers import GroupedDense

    layer = GroupedDense(units=6, groups=2)
    outputs = layer(np.ones((3, 5, 4), dtype="float32"))  # (3, 5, 6)
    layer.kernel.shape  # (2, 2, 3)
    ```

    Reference:
        - [ConvBERT](https://arxiv.org/abs/2008.02496), section 3.3
    """

    def __init__(
        self,
        units: int,
        groups: int = 1,
        activation: Activation = None,
        use_bias: bool = True,
        kernel_initializer: Initializer = None,
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        **kwargs: Any,
    ) -> None:
        check_positive_integers(units=units, groups=groups)
        if units % groups:
            raise ValueError(
                "Expected `units` to be a multiple of `groups`. "
                f"Received: units={units}, groups={groups}"
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
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.units = units
        self.groups = groups
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias

    def build(self, input_shape: Shape) -> None:
        features = input_shape[-1]
        if features is None or features % self.groups:
            raise ValueError(
                "Expected the last dimension of the input to be a multiple of "
                f"`groups`. Received: input_shape={tuple(input_shape)}, "
                f"groups={self.groups}"
            )
        self.input_spec = keras.layers.InputSpec(
            min_ndim=2, axes={-1: features}
        )
        self.blocks = self._einsum_dense(
            "ngi,gio->ngo",
            (self.groups, self.units // self.groups),
            bias_axes="go" if self.use_bias else None,
            name="blocks",
        )
        self.blocks.build((None, self.groups, features // self.groups))

    @property
    def kernel(self) -> Tensor:
        """Weight of shape `(groups, features / groups, units / groups)`."""
        return self.blocks.kernel

    @property
    def bias(self) -> Tensor | None:
        """Weight of shape `(groups, units / groups)`, or `None`."""
        return self.blocks.bias

    def call(self, inputs: Tensor) -> Tensor:
        outer = tuple(ops.shape(inputs)[:-1])
        width = inputs.shape[-1] // self.groups
        x = ops.reshape(inputs, (-1, self.groups, width))  # (B * T, G, D / G)
        x = self.blocks(x)  # (B * T, G, units / G)
        return self.activation(ops.reshape(x, (*outer, self.units)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "units": self.units,
            "groups": self.groups,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }
