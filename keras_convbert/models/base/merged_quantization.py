from typing import Any

from keras_convbert.compat import flatten_layers
from keras_convbert.compat import merge_lora
from keras_convbert.types import Mixin


class MergedQuantization(Mixin):
    """Quantization of a model with LoRA, whose files equal the model."""

    def quantize(self, mode: Any = None, **kwargs: Any) -> None:
        """Quantizes the weights, with LoRA merged.

        Keras keeps the updates of LoRA apart and merges them when it saves,
        so that weights are rounded a second time. Here they are merged first,
        and LoRA starts again from zero. An error leaves LoRA unchanged.

        Args:
            mode: string, such as `"int8"`. Defaults to `None`.
            **kwargs: other arguments of `keras.Model.quantize`.
        """
        layers = [
            layer
            for layer in flatten_layers(self)
            if getattr(layer, "lora_enabled", False)
        ]
        weights = [layer.get_weights() for layer in layers]
        for layer in layers:
            merge_lora(layer)
        try:
            super().quantize(mode, **kwargs)
        except Exception:
            for layer, values in zip(layers, weights, strict=True):
                if not layer.quantization_mode:
                    layer.set_weights(values)
            raise
