from typing import Any

import keras

from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.layers.dtype_policies import policy_of_parts
from keras_convbert.ops.dense import dense
from keras_convbert.ops.dense import use_fused_dense
from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer
from keras_convbert.types import Tensor

MATRIX_PRODUCTS = (keras.layers.Dense, keras.layers.EinsumDense)


class ProjectionLayer(keras.layers.Layer):
    """Base of the layers that are made of dense projections.

    It keeps how their kernels and biases are initialised, regularised and
    constrained, and makes the projections.
    """

    def __init__(
        self,
        kernel_initializer: Initializer,
        bias_initializer: Initializer,
        kernel_regularizer: Regularizer,
        bias_regularizer: Regularizer,
        kernel_constraint: Constraint,
        bias_constraint: Constraint,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        if kernel_initializer is None:
            kernel_initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def _weight_options(self) -> dict[str, Any]:
        """Options of one child, whose initialisers draw for themselves."""
        return {
            "kernel_initializer": clone_initializer(self.kernel_initializer),
            "bias_initializer": clone_initializer(self.bias_initializer),
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
        }

    def _policy_of(self, part: str) -> keras.DTypePolicy:
        return policy_at(self.dtype_policy, f"{self.path}/{part}")

    def _einsum_dense(
        self,
        equation: str,
        output_shape: tuple[int | None, ...],
        bias_axes: str | None,
        name: str,
    ) -> keras.layers.EinsumDense:
        projection = keras.layers.EinsumDense(
            equation,
            output_shape,
            bias_axes=bias_axes,
            dtype=self._policy_of(name),
            name=name,
            **self._weight_options(),
        )
        # Keras warns of a mask that stops here; this layer passes it on.
        projection.supports_masking = True
        return projection

    def _dense(
        self, units: int, name: str, **options: Any
    ) -> keras.layers.Dense:
        return keras.layers.Dense(
            units,
            dtype=self._policy_of(name),
            name=name,
            **options,
            **self._weight_options(),
        )

    def _project(
        self, layer: keras.layers.Layer, inputs: Tensor, axes: int = 1
    ) -> Tensor:
        """`layer(inputs)`, the fastest way; the kernel begins with `axes`."""
        if not use_fused_dense() or not self._is_plain(layer, inputs):
            return layer(inputs)
        outputs = dense(inputs, layer.kernel, layer.bias, axes)
        return layer.activation(outputs)

    def _is_plain(self, layer: keras.layers.Layer, inputs: Tensor) -> bool:
        """Whether it computes what its weights say, in the dtype of the inputs.

        Nobody then sees whether it was called: it has no hooks either.
        """
        return (
            isinstance(layer, MATRIX_PRODUCTS)
            and layer.quantization_mode is None
            and layer.compute_dtype == self.compute_dtype
            and keras.backend.standardize_dtype(inputs.dtype)
            == self.compute_dtype
            and "call" not in vars(layer)
            and not getattr(layer, "_forward_hooks", None)
            and not getattr(layer, "_forward_pre_hooks", None)
        )

    def _matrix_products(self) -> list[keras.layers.Layer]:
        parts = self._flatten_layers(include_self=False)
        return [part for part in parts if isinstance(part, MATRIX_PRODUCTS)]

    def enable_lora(self, rank: int, lora_alpha: float | None = None) -> None:
        """Freezes the matrix products and adds a low-rank update to each.

        Args:
            rank: int. Rank of the updates.
            lora_alpha: float. Scales the updates by `lora_alpha / rank`;
                `None` is `rank`. Defaults to `None`.

        Raises:
            ValueError: if the layer has none, or is not built.
        """
        products = self._matrix_products()
        if not products:
            raise ValueError(
                "Expected a layer that is built and has a matrix product. "
                f"Received: {self.name} of type {type(self).__name__}"
            )
        for product in products:
            product.enable_lora(rank, lora_alpha=lora_alpha)

    def quantize(
        self,
        mode: str | None = None,
        type_check: bool = True,
        config: Any = None,
    ) -> None:
        """Quantizes the matrix products, as `Model.quantize` does.

        Args:
            mode: string. `"int8"`, or another mode of Keras. Defaults to
                `None`.
            type_check: bool. Whether to refuse subclasses of Keras's layers.
                Defaults to `True`.
            config: a quantization config in the place of `mode`. Defaults to
                `None`.
        """
        for product in self._matrix_products():
            product.quantize(mode, type_check=type_check, config=config)

    def get_config(self) -> Config:
        config = super().get_config()
        config["dtype"] = keras.dtype_policies.serialize(policy_of_parts(self))
        for name in ("kernel", "bias"):
            config[f"{name}_initializer"] = keras.initializers.serialize(
                getattr(self, f"{name}_initializer")
            )
            config[f"{name}_regularizer"] = keras.regularizers.serialize(
                getattr(self, f"{name}_regularizer")
            )
            config[f"{name}_constraint"] = keras.constraints.serialize(
                getattr(self, f"{name}_constraint")
            )
        return config


def clone_initializer(initializer: Initializer) -> Initializer:
    """A copy with a seed of its own.

    Keras's initialisers give the same values at each use, so that two weights
    of one shape made with one initialiser would be equal.
    """
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    return initializer.__class__.from_config(initializer.get_config())
