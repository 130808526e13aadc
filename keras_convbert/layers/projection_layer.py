from typing import Any

import keras

from keras_convbert.layers.child_dtypes import ChildDtypes
from keras_convbert.layers.fused_products import FusedProducts
from keras_convbert.layers.matrix_products import MatrixProducts
from keras_convbert.layers.weight_options import WeightOptions


class ProjectionLayer(
    WeightOptions, ChildDtypes, FusedProducts, MatrixProducts
):
    """Base of the layers that consist of dense projections.

    Its bases hold the options of the weights, the dtypes of the children, the
    fast way to apply a projection, and LoRA and quantization. The class
    itself creates the projections.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

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
        # Keras warns about a mask that ends here; the parent passes it on.
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
