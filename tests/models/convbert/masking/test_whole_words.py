import keras
import numpy as np
import pytest

from keras_convbert.models.convbert.masking.dynamic_masking import (
    DynamicMasking,
)
from keras_convbert.models.convbert.masking.row_noise import row_noise
from keras_convbert.models.convbert.masking.token_sets import pack_ids
from keras_convbert.models.convbert.masking.token_sets import unpack_ids
from tests.models.convbert import tiny

CONTINUING = [*range(20, 40, 2), 39]


def layer(rate=0.3, seed=0, **options):
    return DynamicMasking(
        mask_rate=rate,
        mask_token_rate=1.0,
        mask_token_id=tiny.MASK_ID,
        special_token_ids=tiny.SPECIAL_IDS,
        seed=seed,
        **{"continuation_token_ids": CONTINUING, **options},
    )


def mask(batch, training=False, **options):
    outputs = layer(**options)(
        keras.ops.convert_to_tensor(batch["token_ids"]),
        padding_mask=keras.ops.convert_to_tensor(batch["padding_mask"]),
        training=training,
    )
    return {k: keras.ops.convert_to_numpy(v) for k, v in outputs.items()}


def packed_sequences(rows=24, length=32):
    """Rows of two sequences, the second without a special token before it."""
    batch = tiny.sequences(rows, length)
    second = np.arange(length) >= length // 3
    batch["padding_mask"] *= 1 + second
    return batch


def words_of(ids, numbers):
    """The positions of each word of a row, in plain Python."""
    words = []
    for i, token in enumerate(ids):
        if not numbers[i] or token in tiny.SPECIAL_IDS:
            continue
        joined = (
            token in CONTINUING
            and words
            and words[-1][-1] == i - 1
            and numbers[i - 1] == numbers[i]
        )
        if joined:
            words[-1].append(i)
        else:
            words.append([i])
    return words


def budget(numbers, candidates, rate, slots):
    count = int(np.round(rate * (numbers > 0).sum()))
    return min(max(1, min(slots, count)), candidates)


def chosen_words(words, noise, count, slots):
    """The rule of BERT: visit words in random order, skip what is too long."""
    order = sorted(words, key=lambda word: -noise[word[0]])
    chosen = []
    for word in order:
        if len(chosen) + len(word) <= count:
            chosen += word
    return sorted(chosen or order[0][:slots])


@pytest.mark.parametrize("rate", [0.1, 0.3])
@pytest.mark.parametrize("length", [8, 32])
@pytest.mark.parametrize("make", [tiny.sequences, packed_sequences])
def test_chosen_words_are_those_of_a_plain_loop(make, length, rate):
    batch = make(24, length)
    found = mask(batch, rate=rate)
    ids = keras.ops.convert_to_tensor(batch["token_ids"])
    noise = keras.ops.convert_to_numpy(row_noise((24, length), None, ids, 1))
    slots = max(1, int((rate + 0.005) * length))
    assert found["mask_positions"].shape == (24, slots)
    several = 0
    for row in range(24):
        numbers = batch["padding_mask"][row]
        words = words_of(batch["token_ids"][row], numbers)
        several += sum(len(word) > 1 for word in words)
        count = budget(numbers, sum(map(len, words)), rate, slots)
        wanted = chosen_words(words, noise[row], count, slots)
        used = found["mask_weights"][row] > 0
        assert found["mask_positions"][row][used].tolist() == wanted
        assert len({*found["mask_positions"][row]}) == slots
        masked = batch["token_ids"][row].copy()
        np.testing.assert_array_equal(
            found["mask_ids"][row][used], masked[wanted]
        )
        masked[wanted] = tiny.MASK_ID
        np.testing.assert_array_equal(found["masked_token_ids"][row], masked)
    assert several > 12


def test_words_are_whole_and_fill_the_budget_in_training():
    batch = tiny.sequences(rows=200, length=32)
    found = mask(batch, training=True)
    total = wanted = 0
    for row in range(200):
        numbers = batch["padding_mask"][row]
        words = words_of(batch["token_ids"][row], numbers)
        used = found["mask_weights"][row] > 0
        chosen = {*found["mask_positions"][row][used]}
        count = budget(numbers, sum(map(len, words)), 0.3, 9)
        assert all({*word} <= chosen or not {*word} & chosen for word in words)
        assert len(chosen) <= count
        total, wanted = total + len(chosen), wanted + count
    # Most words have one token, so that something nearly always fits.
    assert 0.97 < total / wanted <= 1
    other = mask(batch, training=True, seed=1)["mask_positions"]
    assert not np.array_equal(found["mask_positions"], other)


def test_words_beyond_the_budget():
    # One word of three tokens; then two of them, and a row without words.
    ids = np.array(
        [[2, 5, 20, 20, 3, 0], [2, 20, 20, 3, 20, 20], [2, 3, 0, 0, 0, 0]]
    )
    batch = {"token_ids": np.int32(ids), "padding_mask": np.int32(ids > 0)}
    found = mask(batch, rate=0.2)
    assert found["mask_positions"].shape == (3, 1)
    np.testing.assert_array_equal(found["mask_weights"], [[1], [1], [0]])
    assert found["mask_positions"][0, 0] == 1
    found = mask(batch, rate=0.5)
    np.testing.assert_array_equal(found["mask_weights"][0], [1, 1, 1])
    np.testing.assert_array_equal(found["mask_weights"][1].sum(), 2)


def test_a_row_does_not_depend_on_the_rows_beside_it():
    batch = tiny.sequences(rows=8, length=32)
    together = mask(batch)
    alone = mask({name: value[3:4] for name, value in batch.items()})
    for name, value in together.items():
        np.testing.assert_array_equal(value[3:4], alone[name])


@pytest.mark.once
def test_single_tokens_are_words_if_none_continues():
    batch = tiny.sequences(rows=16, length=32)
    single = mask(batch, continuation_token_ids=None)
    whole = mask(batch, continuation_token_ids=[])
    for name in ("masked_token_ids", "mask_weights"):
        np.testing.assert_array_equal(single[name], whole[name])


@pytest.mark.once
@pytest.mark.parametrize("ids", [[], [0], [7, 8, 30521]])
def test_packed_ids_are_short_and_unpacked(ids):
    assert unpack_ids(pack_ids(ids)) == ids
    assert len(pack_ids(ids)) < 5200
    with pytest.raises(ValueError, match=r"Received: 'no base64'"):
        unpack_ids("no base64")


@pytest.mark.once
def test_a_pretrainer_reads_continuing_tokens_from_its_tokenizer(tmp_path):
    from keras_convbert.models import ConvBertPretrainer
    from keras_convbert.models import ConvBertPretrainerPreprocessor
    from tests.export import tiny as with_pieces

    tokenizer = with_pieces.tokenizer()
    backbone = with_pieces.backbone()
    pretrainer = ConvBertPretrainer(
        backbone,
        preprocessor=ConvBertPretrainerPreprocessor(tokenizer, 8),
        whole_word_masking=True,
        compile=False,
    )
    ids = [tokenizer.token_to_id("##s")]
    assert pretrainer.mask_tokens.continuation_token_ids == ids
    tiny.compile_cheaply(pretrainer, "auto")
    pretrainer.fit(["bad films", "the film"], verbose=0)
    pretrainer.save(tmp_path / "task.keras")
    revived = keras.saving.load_model(tmp_path / "task.keras")
    assert revived.whole_word_masking
    assert revived.mask_tokens.continuation_token_ids == ids
    with pytest.raises(ValueError, match="`continuation_token_ids` for"):
        tiny.pretrainer(whole_word_masking=True)
    with pytest.raises(ValueError, match="Expected `whole_word_masking=True`"):
        tiny.pretrainer(continuation_token_ids=[20])
