import keras

from keras_convbert.layers.matrix_products import MATRIX_PRODUCTS
from keras_convbert.ops.dense import dense
from keras_convbert.ops.dense import use_fused_dense
from keras_convbert.types import Tensor


class FusedProducts(keras.layers.Layer):
    """Base that applies dense children by one matrix product each."""

    def _project(
        self, layer: keras.layers.Layer, inputs: Tensor, axes: int = 1
    ) -> Tensor:
        """Computes `layer(inputs)` the fastest way.

        The last `axes` axes of `inputs` are the first of the kernel.
        """
        if not use_fused_dense() or not self._is_plain(layer, inputs):
            return layer(inputs)
        outputs = dense(inputs, layer.kernel, layer.bias, axes)
        return layer.activation(outputs)

    def _is_plain(self, layer: keras.layers.Layer, inputs: Tensor) -> bool:
        """Whether `layer` only multiplies, adds and activates, in one dtype.

        Not so with quantization, with another dtype, or with a replaced
        `call` or hooks, which have to see the call.
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
