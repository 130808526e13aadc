from typing import Any

import keras

from keras_convbert.compat import flatten_layers

MATRIX_PRODUCTS = (keras.layers.Dense, keras.layers.EinsumDense)


class MatrixProducts(keras.layers.Layer):
    """Base that passes LoRA and quantization on to the dense layers inside."""

    def _matrix_products(self) -> list[keras.layers.Layer]:
        parts = flatten_layers(self, include_self=False)
        return [part for part in parts if isinstance(part, MATRIX_PRODUCTS)]

    def enable_lora(self, rank: int, lora_alpha: float | None = None) -> None:
        """Freezes the matrix products and adds a low-rank update to each.

        Args:
            rank: int. Rank of the updates.
            lora_alpha: float. Scales the updates by `lora_alpha / rank`;
                `None` means `rank`. Defaults to `None`.

        Raises:
            ValueError: if the layer has no matrix product, or is not built.
        """
        products = self._matrix_products()
        if not products:
            raise ValueError(
                "Expected a built layer with a matrix product. Received: "
                f"layer={self.name!r} of type {type(self).__name__}"
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
            type_check: bool. Whether to refuse subclasses of Keras layers.
                Defaults to `True`.
            config: quantization config to use instead of `mode`. Defaults to
                `None`.
        """
        for product in self._matrix_products():
            product.quantize(mode, type_check=type_check, config=config)
