import keras

from keras_convbert.types import Config
from keras_convbert.types import Shape
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class SumEmbeddings(keras.layers.Layer):
    """Adds a list of tensors of equal shapes.

    Without rows and positions `keras.layers.Add` fails on TensorFlow, since
    `ops.add` takes its second argument for a bias.
    """

    def call(self, inputs: list[Tensor]) -> Tensor:
        return sum(inputs[1:], start=inputs[0])

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        return input_shape[0]

    # Keras derives a config from the constructor only if all values are plain.
    def get_config(self) -> Config:
        return super().get_config()
