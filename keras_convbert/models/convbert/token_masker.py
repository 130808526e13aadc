from typing import Any

import numpy as np

from keras_convbert.compat import PreprocessingLayer
from keras_convbert.compat import preprocessing_function
from keras_convbert.types import Tensor


class TokenMasker(PreprocessingLayer):
    """Hides tokens of a sequence, to be guessed from the others.

    Of `n` tokens that are no padding, `max(1, min(N, round(rate * n)))` are
    chosen without replacement, `N` being `mask_selection_length`; special
    tokens never, and no more than there are others. Of the chosen a share
    becomes `mask_token_id`, a share any token at random, the rest stays.

    KerasHub's generator draws a coin for each token in its Python path, so
    that a sequence may have none chosen.
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
        seed: int | None,
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
        self._generator = np.random.default_rng(seed)

    def call(self, inputs: Any) -> dict[str, Any]:
        if self._use_tf_workflow():
            return self._call_tf(inputs)
        return self._call_python(inputs)

    def _call_python(self, inputs: Any) -> dict[str, Any]:
        token_ids = np.asarray(inputs)
        if token_ids.ndim == 1:
            outputs = self._call_python(token_ids[None])
            return {name: value[0] for name, value in outputs.items()}
        draw = self._generator.random
        length = self.mask_selection_length

        candidate = ~np.isin(token_ids, self.unselectable)
        tokens = (token_ids != self.pad_token_id).sum(1)
        counts = np.round(self.mask_selection_rate * tokens).astype("int32")
        counts = np.maximum(1, np.minimum(length, counts))
        counts = np.minimum(counts, candidate.sum(1))

        noise = np.where(candidate, draw(token_ids.shape), -1.0)
        positions = np.argsort(-noise, axis=1)[:, :length].astype("int32")
        missing = length - positions.shape[1]
        positions = np.pad(positions, ((0, 0), (0, missing)))
        weights = np.arange(length) < counts[:, None]
        positions = np.where(weights, positions, 0)
        mask_ids = np.take_along_axis(token_ids, positions, 1) * weights

        coin = draw(positions.shape)
        anything = self._generator.integers(
            self.vocabulary_size, size=positions.shape
        )
        replaced = np.where(
            coin < self.mask_token_rate,
            self.mask_token_id,
            np.where(
                coin < self.mask_token_rate + self.random_token_rate,
                anything,
                mask_ids,
            ),
        )
        masked = token_ids.copy()
        rows, slots = np.nonzero(weights)
        masked[rows, positions[rows, slots]] = replaced[rows, slots]
        return {
            "token_ids": masked.astype("int32"),
            "mask_positions": positions.astype("int32"),
            "mask_ids": mask_ids.astype("int32"),
            "mask_weights": weights.astype("float32"),
        }

    @preprocessing_function
    def _call_tf(self, inputs: Tensor) -> dict[str, Tensor]:
        import tensorflow as tf

        token_ids = tf.convert_to_tensor(inputs)
        if token_ids.shape.rank == 1:
            outputs = self._call_tf(token_ids[None])
            return {name: value[0] for name, value in outputs.items()}
        length = self.mask_selection_length
        shape = tf.shape(token_ids)

        candidate = tf.ones_like(token_ids, dtype="bool")
        for unselectable in self.unselectable:
            candidate &= token_ids != unselectable
        tokens = tf.math.count_nonzero(
            token_ids != self.pad_token_id, axis=1, dtype="int32"
        )
        counts = tf.round(self.mask_selection_rate * tf.cast(tokens, "float64"))
        counts = tf.clip_by_value(tf.cast(counts, "int32"), 1, length)
        counts = tf.minimum(
            counts, tf.math.count_nonzero(candidate, axis=1, dtype="int32")
        )

        noise = tf.random.uniform(shape, seed=self.seed)
        noise = tf.where(candidate, noise, -1.0)
        positions = tf.argsort(noise, axis=1, direction="DESCENDING")
        positions = positions[:, :length]
        missing = length - tf.shape(positions)[1]
        positions = tf.pad(positions, [[0, 0], [0, missing]])
        positions = tf.ensure_shape(positions, (None, length))
        weights = tf.range(length) < counts[:, None]
        positions = tf.where(weights, positions, 0)
        mask_ids = tf.gather(token_ids, positions, batch_dims=1)
        mask_ids = tf.where(weights, mask_ids, 0)

        coin = tf.random.uniform(tf.shape(positions), seed=self.seed)
        anything = tf.random.uniform(
            tf.shape(positions),
            maxval=self.vocabulary_size,
            dtype=token_ids.dtype,
            seed=self.seed,
        )
        rate = self.mask_token_rate + self.random_token_rate
        replaced = tf.where(coin < rate, anything, mask_ids)
        replaced = tf.where(
            coin < self.mask_token_rate, self.mask_token_id, replaced
        )
        places = tf.where(weights)  # (chosen, 2): row, slot
        rows = tf.cast(places[:, 0], "int32")
        chosen = tf.stack([rows, tf.gather_nd(positions, places)], axis=1)
        masked = tf.tensor_scatter_nd_update(
            token_ids, chosen, tf.gather_nd(replaced, places)
        )
        return {
            "token_ids": masked,
            "mask_positions": positions,
            "mask_ids": mask_ids,
            "mask_weights": tf.cast(weights, "float32"),
        }
