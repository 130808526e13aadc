from typing import Any

import keras
from keras import ops

from keras_convbert.types import Config
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class FlattenChoices(keras.layers.Layer):
    """Reshapes `(B, N, T)`, N choices per sample, to `(B N, T)`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        batch, choices, length = ops.shape(inputs)
        return ops.reshape(inputs, (batch * choices, length))  # (B N, T)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor((None, inputs.shape[-1]), inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (None, input_shape[-1])

    def get_config(self) -> Config:
        # Keras cannot derive the config of a layer with a dtype policy.
        return super().get_config()
