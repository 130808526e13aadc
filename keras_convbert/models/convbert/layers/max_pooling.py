from typing import Any

import keras
from keras import ops

from keras_convbert.ops.sizes import largest
from keras_convbert.types import Config
from keras_convbert.types import Shape
from keras_convbert.types import Tensor

# In place of the features of padding.
LOWEST = -1e30


@keras.saving.register_keras_serializable(package="keras_convbert")
class MaxPooling(keras.layers.Layer):
    """Returns the maximum over the real tokens, `LOWEST` if there are none.

    Call arguments:
        inputs: tensor of shape `(batch, length, features)`.
        padding_mask: tensor of shape `(batch, length)`, nonzero at real
            tokens.

    Output shape:
        `(batch, features)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs: Tensor, padding_mask: Tensor) -> Tensor:
        real = ops.expand_dims(ops.cast(padding_mask, "bool"), -1)
        return largest(ops.where(real, inputs, LOWEST), 1, LOWEST)

    def compute_output_shape(
        self, inputs_shape: Shape, padding_mask_shape: Shape
    ) -> Shape:
        return (inputs_shape[0], inputs_shape[-1])

    def get_config(self) -> Config:
        # Keras cannot derive the config of a layer with a dtype policy.
        return super().get_config()
