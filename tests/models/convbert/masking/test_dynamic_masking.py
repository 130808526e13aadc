import keras
import numpy as np
import pytest

from keras_convbert.models.convbert.masking.dynamic_masking import (
    DynamicMasking,
)
from tests.models.convbert.tiny import MASK_ID
from tests.models.convbert.tiny import SPECIAL_IDS
from tests.models.convbert.tiny import sequences


def mask(token_ids, padding_mask, training=True, seed=0, **options):
    layer = DynamicMasking(
        **{
            "mask_rate": 0.15,
            "mask_token_rate": 0.85,
            "mask_token_id": MASK_ID,
            "special_token_ids": SPECIAL_IDS,
            "seed": seed,
            **options,
        }
    )
    outputs = layer(
        keras.ops.convert_to_tensor(token_ids),
        padding_mask=keras.ops.convert_to_tensor(padding_mask),
        training=training,
    )
    return {k: keras.ops.convert_to_numpy(v) for k, v in outputs.items()}


def expected_counts(batch, rate, slots):
    """The rule of the authors' `pretrain_helpers.py`, in plain Python."""
    counts = []
    for ids, real in zip(
        batch["token_ids"], batch["padding_mask"], strict=False
    ):
        candidates = sum(
            r and i not in SPECIAL_IDS for i, r in zip(ids, real, strict=False)
        )
        # Half to even, as NumPy and TensorFlow round.
        wanted = max(1, min(slots, int(np.round(rate * real.sum()))))
        counts.append(min(wanted, candidates))
    return counts


@pytest.mark.parametrize("rate", [0.15, 0.4])
@pytest.mark.parametrize("length", [6, 31, 64])
def test_number_of_masked_tokens(rate, length):
    batch = sequences(rows=16, length=length)
    slots = max(1, int((rate + 0.005) * length))
    found = mask(batch["token_ids"], batch["padding_mask"], mask_rate=rate)
    assert found["mask_positions"].shape == (16, slots)
    np.testing.assert_array_equal(
        found["mask_weights"].sum(1), expected_counts(batch, rate, slots)
    )


def test_no_position_twice_and_none_that_is_special_or_padding():
    batch = sequences(rows=64, length=32)
    batch["token_ids"][:, 5] = MASK_ID
    found = mask(batch["token_ids"], batch["padding_mask"], mask_rate=0.4)
    for row in range(64):
        used = found["mask_weights"][row] > 0
        positions = found["mask_positions"][row][used]
        assert len(set(positions)) == len(positions)
        ids = batch["token_ids"][row][positions]
        assert not set(ids) & set(SPECIAL_IDS)
        assert batch["padding_mask"][row][positions].all()
        np.testing.assert_array_equal(found["mask_ids"][row][used], ids)


def test_a_row_without_candidates_stays_as_it_is():
    token_ids = np.array([[2, 3, 0, 0], [2, 7, 3, 0]], "int32")
    padding_mask = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], "int32")
    found = mask(token_ids, padding_mask, mask_token_rate=1.0)
    np.testing.assert_array_equal(found["mask_weights"], [[0], [1]])
    np.testing.assert_array_equal(
        found["masked_token_ids"], [[2, 3, 0, 0], [2, MASK_ID, 3, 0]]
    )


def test_shares_of_masked_and_visible_and_evenness_of_positions():
    batch = sequences(rows=2000, length=20)
    batch["padding_mask"][:] = 1
    batch["token_ids"][:] = 7
    found = mask(batch["token_ids"], batch["padding_mask"])
    # 3 of 20 tokens a row, 6,000 in all.
    changed = found["masked_token_ids"] == MASK_ID
    share = changed.sum() / found["mask_weights"].sum()
    assert abs(share - 0.85) < 0.02  # deviation sqrt(.85 * .15 / 6000) = .0046
    chosen = found["mask_positions"][found["mask_weights"] > 0]
    counts = np.bincount(chosen, minlength=20)
    # Expected 300 a position; 43.8 is the 0.999 quantile of chi2 with 19.
    assert ((counts - 300) ** 2 / 300).sum() < 43.8


def test_training_draws_anew_and_evaluation_does_not():
    batch = sequences(rows=8, length=32)
    arguments = batch["token_ids"], batch["padding_mask"]
    first = mask(*arguments, seed=0)["mask_positions"]
    assert not np.array_equal(first, mask(*arguments, seed=1)["mask_positions"])
    still = mask(*arguments, training=False, seed=0)
    again = mask(*arguments, training=False, seed=1)
    for name, value in still.items():
        np.testing.assert_array_equal(value, again[name])
    # A row's masks do not depend on the rows beside it.
    alone = mask(*(a[3:4] for a in arguments), training=False)
    for name, value in still.items():
        np.testing.assert_array_equal(value[3:4], alone[name])
    # Nor are they the same for all rows.
    assert len({tuple(row) for row in still["mask_positions"]}) > 4
