from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_convbert.compat import PreprocessingLayer
from keras_convbert.compat import convert_preprocessing_outputs_python
from keras_convbert.compat import preprocessing_function
from keras_convbert.types import Tensor


class MaskedLMMaskGenerator(PreprocessingLayer):
    """Selects tokens of a sequence for masked-language modeling.

    Of n tokens that are not padding, k are selected without replacement:

        k = max(1, min(N, round(mask_selection_rate * n)))

    N is `mask_selection_length`. Special tokens are never selected; k is less
    if there are not enough other tokens. A selected token becomes
    `mask_token_id` with the probability `mask_token_rate`, a random token with
    the probability `random_token_rate`, and is unchanged otherwise.

    `keras_hub.layers.MaskedLMMaskGenerator` samples each token independently
    in its Python path, so that a sequence may have no masked token.

    Letters: B batch, N slots for masked tokens.

    Args:
        vocabulary_size: int. Number of token ids.
        mask_selection_rate: float. Fraction of tokens to select.
        mask_selection_length: int. Maximum number of selected tokens.
        mask_token_id: int. Id of `[MASK]`.
        pad_token_id: int. Id of `[PAD]`.
        special_token_ids: list of ints. Ids that are never selected.
        mask_token_rate: float. Probability of `mask_token_id`.
        random_token_rate: float. Probability of a random token.
        generator: function that returns the NumPy generator to sample with. A
            TensorFlow graph cannot use it.
        seed: int. Seed of the operations in a TensorFlow graph. Defaults to
            `None`.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        vocabulary_size: int,
        mask_selection_rate: float,
        mask_selection_length: int,
        mask_token_id: int,
        pad_token_id: int,
        special_token_ids: list[int],
        mask_token_rate: float,
        random_token_rate: float,
        generator: Callable[[], np.random.Generator],
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.mask_selection_rate = mask_selection_rate
        self.mask_selection_length = mask_selection_length
        self.mask_token_id = mask_token_id
        self.pad_token_id = pad_token_id
        self.unselectable = sorted({pad_token_id, *special_token_ids})
        self.mask_token_rate = mask_token_rate
        self.random_token_rate = random_token_rate
        self.seed = seed
        self.generator = generator

    def call(self, inputs: Any) -> dict[str, Any]:
        if self._use_tf_workflow():
            return self._call_tf(inputs)
        if keras.ops.is_tensor(inputs):
            inputs = keras.ops.convert_to_numpy(inputs)
        token_ids = np.asarray(inputs, "int32")
        return convert_preprocessing_outputs_python(self._mask(token_ids))

    def _mask(self, token_ids: np.ndarray) -> dict[str, np.ndarray]:
        if token_ids.ndim == 1:
            outputs = self._mask(token_ids[None])
            return {name: value[0] for name, value in outputs.items()}
        positions, weights = self._choose(token_ids)  # (B, N)
        mask_ids = np.take_along_axis(token_ids, positions, 1) * weights

        generator = self.generator()
        uniform = generator.random(positions.shape)
        random_ids = generator.integers(
            self.vocabulary_size, size=positions.shape
        )
        rate = self.mask_token_rate + self.random_token_rate
        replaced = np.where(uniform < rate, random_ids, mask_ids)
        replaced[uniform < self.mask_token_rate] = self.mask_token_id
        masked = token_ids.copy()
        rows, slots = np.nonzero(weights)
        masked[rows, positions[rows, slots]] = replaced[rows, slots]
        return {
            "token_ids": masked,
            "mask_positions": positions,
            "mask_ids": mask_ids,
            "mask_weights": weights.astype("float32"),
        }

    def _choose(self, token_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        length = self.mask_selection_length
        candidate = ~np.isin(token_ids, self.unselectable)
        tokens = (token_ids != self.pad_token_id).sum(1)
        counts = np.round(self.mask_selection_rate * tokens).astype("int32")
        counts = np.clip(counts, 1, length)
        counts = np.minimum(counts, candidate.sum(1))

        noise = self.generator().random(token_ids.shape)
        noise = np.where(candidate, noise, -1.0)
        positions = np.argsort(-noise, axis=1)[:, :length].astype("int32")
        missing = length - positions.shape[1]
        positions = np.pad(positions, ((0, 0), (0, missing)))
        weights = np.arange(length) < counts[:, None]
        return np.where(weights, positions, 0), weights

    @preprocessing_function
    def _call_tf(self, inputs: Tensor) -> dict[str, Tensor]:
        import tensorflow as tf

        token_ids = tf.cast(tf.convert_to_tensor(inputs), "int32")
        if token_ids.shape.rank == 1:
            outputs = self._call_tf(token_ids[None])
            return {name: value[0] for name, value in outputs.items()}
        positions, weights = self._choose_tf(token_ids)  # (B, N)
        mask_ids = tf.gather(token_ids, positions, batch_dims=1)
        mask_ids = tf.where(weights, mask_ids, 0)

        uniform = tf.random.uniform(tf.shape(positions), seed=self._seed(1))
        random_ids = tf.random.uniform(
            tf.shape(positions),
            maxval=self.vocabulary_size,
            dtype="int32",
            seed=self._seed(2),
        )
        rate = self.mask_token_rate + self.random_token_rate
        replaced = tf.where(uniform < rate, random_ids, mask_ids)
        replaced = tf.where(
            uniform < self.mask_token_rate, self.mask_token_id, replaced
        )
        used = tf.where(weights)  # (selected, 2): row, slot
        rows = tf.cast(used[:, 0], "int32")
        selected = tf.stack([rows, tf.gather_nd(positions, used)], axis=1)
        masked = tf.tensor_scatter_nd_update(
            token_ids, selected, tf.gather_nd(replaced, used)
        )
        return {
            "token_ids": masked,
            "mask_positions": positions,
            "mask_ids": mask_ids,
            "mask_weights": tf.cast(weights, "float32"),
        }

    def _choose_tf(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        import tensorflow as tf

        def count(where: Tensor) -> Tensor:
            return tf.math.count_nonzero(where, axis=1, dtype="int32")

        length = self.mask_selection_length
        candidate = tf.ones_like(token_ids, dtype="bool")
        for unselectable in self.unselectable:
            candidate &= token_ids != unselectable
        tokens = tf.cast(count(token_ids != self.pad_token_id), "float64")
        counts = tf.cast(tf.round(self.mask_selection_rate * tokens), "int32")
        counts = tf.clip_by_value(counts, 1, length)
        counts = tf.minimum(counts, count(candidate))

        noise = tf.random.uniform(tf.shape(token_ids), seed=self._seed(0))
        noise = tf.where(candidate, noise, -1.0)
        positions = tf.argsort(noise, axis=1, direction="DESCENDING")
        positions = positions[:, :length]
        missing = length - tf.shape(positions)[1]
        positions = tf.pad(positions, [[0, 0], [0, missing]])
        positions = tf.ensure_shape(positions, (None, length))
        weights = tf.range(length) < counts[:, None]
        return tf.where(weights, positions, 0), weights

    def _seed(self, draw: int) -> int | None:
        # Operations with equal seeds would return equal numbers.
        return None if self.seed is None else 3 * self.seed + draw
