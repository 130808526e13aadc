import keras

from keras_convbert.ops.random import draw_seed
from keras_convbert.ops.random import stateless_dropout
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class SeededDropout(keras.layers.Dropout):
    """`keras.layers.Dropout` whose noise can be fixed by a seed per call.

    `draw_seed()` advances the generator. A call with that seed does not, and
    draws the same noise each time.
    """

    def draw_seed(self) -> Tensor | None:
        """Draws the next seed, or returns `None` if the layer needs none."""
        if not self.rate:
            return None
        return draw_seed(self.seed_generator, seeded=self.seed is not None)

    def call(
        self,
        inputs: Tensor,
        training: bool | None = False,
        dropout_seed: Tensor | None = None,
    ) -> Tensor:
        if not training or not self.rate:
            return inputs
        if dropout_seed is None:
            dropout_seed = self.draw_seed()
        if dropout_seed is None:
            return super().call(inputs, training=training)
        return stateless_dropout(inputs, self.rate, dropout_seed)
