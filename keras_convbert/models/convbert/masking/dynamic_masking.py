from typing import Any

import keras
import numpy as np
from keras import ops

from keras_convbert.models.convbert.masking.row_noise import replace_at
from keras_convbert.models.convbert.masking.row_noise import row_noise
from keras_convbert.models.convbert.masking.token_sets import pack_ids
from keras_convbert.models.convbert.masking.token_sets import unpack_ids
from keras_convbert.models.convbert.masking.word_choice import choose_words
from keras_convbert.types import Config
from keras_convbert.types import Tensor

# Added to the mask rate to leave room for rounding; see `DynamicMasking`.
SLOT_MARGIN = 0.005


@keras.saving.register_keras_serializable(package="keras_convbert")
class DynamicMasking(keras.layers.Layer):
    """Selects the tokens that the generator predicts, and masks them.

    A row of T positions has N slots for masked tokens. Of its n tokens that
    are not padding, k are selected without replacement:

        N = min(T, max(1, int((mask_rate + 0.005) * T)))
        k = max(1, min(N, round(mask_rate * n)))

    Special tokens and padding are never selected; k is less if there are not
    enough other tokens. A selected token becomes `mask_token_id` with the
    probability `mask_token_rate`, and is unchanged otherwise.

    N is the rule of the authors for `max_predictions_per_seq`. The margin 0.005
    rounds N up, so that `round(mask_rate * n)` fits: from T = 100 on,
    `0.005 * T` is at least one half. In shorter rows N may limit k.

    With `continuation_token_ids`, whole words are selected: in random order, a
    word is selected if all of its tokens fit into what is left of k. If no word
    fits, the first one is selected, in part if it has more than N tokens.

    Outside of training the selection depends on the token ids only.

    Letters: B batch, T length, N slots for masked tokens.

    Args:
        mask_rate: float. Fraction of tokens to select.
        mask_token_rate: float. Probability that a selected token is masked.
        mask_token_id: int. Id of `[MASK]`.
        special_token_ids: list of ints. Ids that are never selected.
        seed: int or `None`. Seed of the selection in training.
        continuation_token_ids: list of ints, or a string of `pack_ids`. Ids of
            tokens that continue the word of the token before them; `None`
            selects single tokens. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        mask_rate: float,
        mask_token_rate: float,
        mask_token_id: int,
        special_token_ids: list[int],
        seed: int | None,
        continuation_token_ids: list[int] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(continuation_token_ids, str):
            continuation_token_ids = unpack_ids(continuation_token_ids)
        self.continuation_token_ids = continuation_token_ids
        self.mask_rate = mask_rate
        self.mask_token_rate = mask_token_rate
        self.mask_token_id = mask_token_id
        self.special_token_ids = special_token_ids
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(
        self,
        token_ids: Tensor,
        padding_mask: Tensor,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        generator = self.seed_generator if training else None
        real = ops.cast(padding_mask, "bool")
        candidate = real
        for special in self.special_token_ids:
            candidate = ops.logical_and(candidate, token_ids != special)

        batch, length = ops.shape(token_ids)
        slots = self.slots(length)
        noise = row_noise((batch, length), generator, token_ids, 1)
        counts = self._counts(real, candidate, slots)
        if self.continuation_token_ids is None:
            noise = ops.where(candidate, noise, -1.0)
            positions = ops.top_k(noise, slots)[1]  # (B, N)
            positions = ops.cast(positions, "int32")
            chosen = ops.arange(slots, dtype="int32") < counts  # (B, N)
        else:
            continues = self._continues(token_ids, padding_mask, candidate)
            positions, chosen = choose_words(
                candidate, continues, noise, counts, slots
            )

        mask_ids = ops.take_along_axis(token_ids, positions, axis=1)
        noise = row_noise((batch, slots), generator, token_ids, 2)
        becomes_mask = ops.logical_and(chosen, noise < self.mask_token_rate)
        masked = ops.where(
            becomes_mask, ops.full_like(mask_ids, self.mask_token_id), mask_ids
        )
        return {
            "masked_token_ids": replace_at(token_ids, positions, masked),
            "mask_positions": positions,
            "mask_ids": mask_ids,
            "mask_weights": ops.cast(chosen, "float32"),
        }

    def _continues(
        self, token_ids: Tensor, padding_mask: Tensor, candidate: Tensor
    ) -> Tensor:
        """Returns where a token belongs to the word before it, `(B, T)`."""
        ids = self.continuation_token_ids or []
        # The last entry is for all larger ids.
        table = np.zeros(max(ids, default=-1) + 2, bool)
        table[ids] = True
        continues = ops.take(
            ops.convert_to_tensor(table),
            ops.minimum(token_ids, len(table) - 1),
            axis=0,
        )
        # A word starts after a special token, and in a new packed sequence.
        joined = ops.logical_and(
            candidate[:, :-1], padding_mask[:, 1:] == padding_mask[:, :-1]
        )
        joined = ops.pad(joined, [[0, 0], [1, 0]])
        return ops.logical_and(continues, joined)

    def slots(self, length: Any) -> Any:
        """Returns N for a static length, or for one known at run time only."""
        fraction = self.mask_rate + SLOT_MARGIN
        if isinstance(length, int):
            return min(length, max(1, int(fraction * length)))
        slots = ops.cast(fraction * ops.cast(length, "float64"), "int32")
        return ops.minimum(length, ops.maximum(1, slots))

    def _counts(self, real: Tensor, candidate: Tensor, slots: Any) -> Tensor:
        tokens = ops.sum(ops.cast(real, "float32"), axis=1, keepdims=True)
        counts = ops.cast(ops.round(self.mask_rate * tokens), "int32")
        counts = ops.maximum(1, ops.minimum(counts, slots))
        return ops.minimum(
            counts,
            ops.sum(ops.cast(candidate, "int32"), axis=1, keepdims=True),
        )  # (B, 1)

    def compute_output_spec(
        self,
        token_ids: Tensor,
        padding_mask: Tensor,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        batch, length = token_ids.shape
        slots = None if length is None else self.slots(length)

        def spec(width: int | None, dtype: str) -> keras.KerasTensor:
            return keras.KerasTensor((batch, width), dtype=dtype)

        return {
            "masked_token_ids": spec(length, "int32"),
            "mask_positions": spec(slots, "int32"),
            "mask_ids": spec(slots, "int32"),
            "mask_weights": spec(slots, "float32"),
        }

    def get_config(self) -> Config:
        ids = self.continuation_token_ids
        return {
            **super().get_config(),
            "mask_rate": self.mask_rate,
            "mask_token_rate": self.mask_token_rate,
            "mask_token_id": self.mask_token_id,
            "special_token_ids": list(self.special_token_ids),
            "seed": self.seed,
            "continuation_token_ids": None if ids is None else pack_ids(ids),
        }
