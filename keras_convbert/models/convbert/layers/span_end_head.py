from typing import Any

import keras
from keras import ops

from keras_convbert.layers.child_dtypes import ChildDtypes
from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.types import Config
from keras_convbert.types import Shape
from keras_convbert.types import Tensor

WIDTH = 512


@keras.saving.register_keras_serializable(package="keras_convbert")
class SpanEndHead(ChildDtypes):
    """Scores the end positions of an answer for each start in a beam.

    The beam holds the `beam_size` start positions with the highest scores.
    With `x_t` the vector of position t, `(D,)`, the end t of the start s has
    the score

        score(s, t) = gelu(x_s A + x_t C + b) v + d

    with `A` and `C` of shape `(D, W)`, `b` and `v` `(W,)`, `d` a scalar, and
    W = 512. This is a dense layer on the concatenation of both vectors, split
    in two parts so that each vector is multiplied only once.

    Letters: B batch, T length, D hidden width, S beam size, W width of the
    hidden layer.

    Args:
        beam_size: int. Number of best start positions whose ends are scored.
            Defaults to `20`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: token vectors of shape `(batch, length, features)`.
        start_logits: scores of start positions, of shape `(batch, length)`.
        training: bool. In training the beam holds only the best start.

    Output shape:
        Tuple of the end scores, `(batch, beam, length)`, and the start
        positions in the beam, `(batch, beam)`.
    """

    def __init__(self, beam_size: int = 20, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beam_size = beam_size
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        self.of_token = keras.layers.Dense(
            WIDTH,
            kernel_initializer=initializer,
            dtype=policy_at(self.dtype_policy, f"{self.name}/of_token"),
            name="of_token",
        )
        self.of_start = keras.layers.Dense(
            WIDTH,
            use_bias=False,
            kernel_initializer=initializer.clone(),
            dtype=policy_at(self.dtype_policy, f"{self.name}/of_start"),
            name="of_start",
        )
        self.score = keras.layers.Dense(
            1,
            kernel_initializer=initializer.clone(),
            dtype=policy_at(self.dtype_policy, f"{self.name}/score"),
            name="score",
        )

    def build(self, inputs_shape: Shape, start_logits_shape: Shape) -> None:
        self.of_token.build(inputs_shape)
        self.of_start.build(inputs_shape)
        self.score.build((*inputs_shape[:-1], WIDTH))

    def call(
        self,
        inputs: Tensor,
        start_logits: Tensor,
        training: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        order = ops.argsort(-start_logits, axis=-1)  # (B, T)
        starts = order[:, : 1 if training else self.beam_size]  # (B, S)
        return self.ends_of(inputs, starts), ops.cast(starts, "int32")

    def ends_of(self, inputs: Tensor, starts: Tensor) -> Tensor:
        """Returns end scores `(batch, beam, length)` for given starts.

        Args:
            inputs: token vectors of shape `(batch, length, features)`.
            starts: start positions of shape `(batch, beam)`.
        """
        chosen = ops.take_along_axis(
            inputs, ops.expand_dims(starts, -1), axis=1
        )
        token = ops.expand_dims(self.of_token(inputs), 1)  # (B, 1, T, W)
        start = ops.expand_dims(self.of_start(chosen), 2)  # (B, S, 1, W)
        hidden = ops.gelu(token + start, approximate=False)
        return ops.squeeze(self.score(hidden), -1)  # (B, S, T)

    def compute_output_shape(
        self, inputs_shape: Shape, start_logits_shape: Shape
    ) -> tuple[Shape, Shape]:
        batch, length, _ = inputs_shape
        return (batch, None, length), (batch, None)

    def compute_output_spec(
        self, inputs: Tensor, start_logits: Tensor, training: Any = None
    ) -> tuple[Any, Any]:
        ends, starts = self.compute_output_shape(
            inputs.shape, start_logits.shape
        )
        return (
            keras.KerasTensor(ends, dtype=self.compute_dtype),
            keras.KerasTensor(starts, dtype="int32"),
        )

    def get_config(self) -> Config:
        return {**super().get_config(), "beam_size": self.beam_size}
