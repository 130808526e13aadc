from typing import Any

import keras
from keras import ops

from keras_convbert.types import Config
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class UnflattenChoices(keras.layers.Layer):
    """Reshapes scores `(B N, 1)` to `(B, N)`, as many as `token_ids` has."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs: Tensor, token_ids: Tensor) -> Tensor:
        return ops.reshape(inputs, ops.shape(token_ids)[:2])  # (B, N)

    def compute_output_spec(
        self, inputs: Tensor, token_ids: Tensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor(tuple(token_ids.shape[:2]), inputs.dtype)

    def compute_output_shape(
        self, inputs_shape: Shape, token_ids_shape: Shape
    ) -> Shape:
        return tuple(token_ids_shape[:2])

    def get_config(self) -> Config:
        # Keras cannot derive the config of a layer with a dtype policy.
        return super().get_config()
