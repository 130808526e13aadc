import json

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertMaskedLMPreprocessor
from keras_convbert.models.convbert.masking.masked_lm_mask_generator import (
    MaskedLMMaskGenerator,
)
from tests.models.convbert import texts

MASK_ID = 4
SPECIAL_IDS = [0, 2, 3, MASK_ID]
VOCABULARY_SIZE = 50


def preprocessor(**options):
    return ConvBertMaskedLMPreprocessor(
        texts.tokenizer(),
        **{"sequence_length": 8, "mask_selection_length": 3, **options},
    )


def masker(rate=0.15, length=5, seed=0, **options):
    generator = np.random.default_rng(seed)
    return MaskedLMMaskGenerator(
        vocabulary_size=VOCABULARY_SIZE,
        mask_selection_rate=rate,
        mask_selection_length=length,
        mask_token_id=MASK_ID,
        pad_token_id=0,
        special_token_ids=SPECIAL_IDS,
        generator=lambda: generator,
        seed=seed,
        **{"mask_token_rate": 0.8, "random_token_rate": 0.1, **options},
    )


def in_python(layer, token_ids):
    return numpy(layer(token_ids))


def in_graph(layer, token_ids):
    tf = pytest.importorskip("tensorflow")
    [outputs] = tf.data.Dataset.from_tensors(token_ids).map(layer)
    return keras.tree.map_structure(lambda t: t.numpy(), outputs)


def numpy(outputs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


both_paths = pytest.mark.parametrize(
    "path", [in_python, in_graph], ids=["python", "graph"]
)


def sequences(rows, length, seed=0):
    """Rows with special tokens among the others, and padding after them."""
    generator = np.random.default_rng(seed)
    token_ids = generator.integers(2, VOCABULARY_SIZE, (rows, length))
    lengths = generator.integers(1, length + 1, (rows, 1))
    token_ids[np.arange(length) >= lengths] = 0
    token_ids[:, 0] = 2
    return token_ids.astype("int32")


@both_paths
@pytest.mark.parametrize("rate", [0.15, 0.5, 1.0])
def test_counts_and_places(path, rate):
    token_ids = sequences(rows=300, length=24)
    outputs = path(masker(rate, length=5), token_ids)
    positions, weights = outputs["mask_positions"], outputs["mask_weights"]
    assert positions.shape == weights.shape == (300, 5)
    assert {outputs[k].dtype.name for k in ("token_ids", "mask_ids")} == {
        "int32"
    }
    counts = []
    for row, row_positions, row_weights, row_ids, masked in zip(
        token_ids,
        positions,
        weights,
        outputs["mask_ids"],
        outputs["token_ids"],
        strict=True,
    ):
        count = int(row_weights.sum())
        counts.append(count)
        tokens = int((row != 0).sum())
        candidates = int((~np.isin(row, SPECIAL_IDS)).sum())
        wanted = max(1, min(5, round(rate * tokens)))
        assert count == min(wanted, candidates)
        # Used slots come first, the others are zero.
        assert row_weights.tolist() == [1.0] * count + [0.0] * (5 - count)
        assert not row_positions[count:].any()
        assert not row_ids[count:].any()
        chosen = row_positions[:count]
        assert len(set(chosen)) == count
        assert not np.isin(row[chosen], SPECIAL_IDS).any()
        assert row[chosen].tolist() == row_ids[:count].tolist()
        untouched = np.setdiff1d(np.arange(24), chosen)
        assert row[untouched].tolist() == masked[untouched].tolist()
    assert set(counts) == set(range(max(counts) + 1))
    assert max(counts) == min(5, round(rate * 24))


@both_paths
def test_sequences_shorter_than_the_slots(path):
    outputs = path(masker(rate=1.0, length=6), np.int32([[2, 7, 8, 3]]))
    assert sorted(outputs["mask_positions"][0]) == [0, 0, 0, 0, 1, 2]
    assert outputs["mask_weights"].sum() == 2


@both_paths
def test_one_sequence_alone(path):
    outputs = path(masker(rate=0.5, length=2), np.int32([2, 7, 3, 0]))
    assert outputs["mask_positions"].tolist() == [1, 0]
    assert outputs["mask_ids"].tolist() == [7, 0]
    assert outputs["token_ids"].shape == (4,)


@both_paths
def test_what_becomes_of_the_chosen(path):
    token_ids = np.full((400, 20), 7, "int32")
    outputs = path(masker(rate=1.0, length=20), token_ids)
    masked = outputs["token_ids"]
    # Each bound is four standard deviations of 8,000 draws.
    error = np.mean(masked == MASK_ID) - (0.8 + 0.1 / 50)
    assert abs(error) < 0.018  # 4 sqrt(.8 * .2 / 8000)
    error = np.mean(masked == 7) - (0.1 + 0.1 / 50)
    assert abs(error) < 0.014  # 4 sqrt(.1 * .9 / 8000)
    drawn = masked[(masked != MASK_ID) & (masked != 7)]
    assert set(drawn) == set(range(VOCABULARY_SIZE)) - {MASK_ID, 7}


@both_paths
def test_every_place_is_as_likely(path):
    token_ids = np.full((3000, 10), 7, "int32")
    outputs = path(masker(rate=0.3, length=3), token_ids)
    share = np.bincount(outputs["mask_positions"].ravel(), minlength=10) / 3000
    np.testing.assert_allclose(
        share,
        0.3,
        atol=0.035,  # four standard deviations of 3,000 draws
    )


def test_draws_in_the_graph_are_independent():
    token_ids = np.full((500, 8), 7, "int32")
    layer = masker(rate=0.5, length=8, mask_token_rate=0.5, random_token_rate=0)
    outputs = in_graph(layer, token_ids)
    positions = outputs["mask_positions"][:, :4]
    hidden = np.take_along_axis(outputs["token_ids"], positions, 1) == MASK_ID
    # Drawn from the same numbers, slot j is hidden if place j was not chosen.
    chosen = np.stack([(positions == j).any(1) for j in range(4)], axis=1)
    assert 0.4 < hidden[chosen].mean() < 0.6
    assert 0.4 < hidden[~chosen].mean() < 0.6


@both_paths
def test_seeds_fix_the_choice(path):
    token_ids = sequences(rows=20, length=24)

    def positions(seed):
        return path(masker(seed=seed), token_ids)["mask_positions"].tolist()

    assert positions(1) == positions(1)
    assert positions(1) != positions(2)


def test_calls_differ_and_global_seed_counts():
    layer = preprocessor(sequence_length=16)
    first, second = (
        np.asarray(layer(texts.letters(20))[0]["mask_positions"]).tolist()
        for _ in range(2)
    )
    assert first != second
    keras.utils.set_random_seed(0)
    layer = preprocessor(sequence_length=16)
    again = np.asarray(layer(texts.letters(20))[0]["mask_positions"]).tolist()
    assert again == first


def test_all_hidden_gives_literal_outputs():
    layer = preprocessor(
        mask_selection_rate=1.0, mask_token_rate=1.0, random_token_rate=0.0
    )
    x, y, weight = numpy(layer(["a b", "c"]))
    assert x["token_ids"].tolist() == [
        [2, 4, 4, 3, 0, 0, 0, 0],
        [2, 4, 3, 0, 0, 0, 0, 0],
    ]
    assert x["padding_mask"].sum(1).tolist() == [4, 3]
    assert x["segment_ids"].tolist() == [[0] * 8] * 2
    assert x["mask_positions"][1].tolist() == [1, 0, 0]
    assert sorted(x["mask_positions"][0, :2]) == [1, 2]
    assert sorted(y[0, :2]) == [5, 6]
    assert y[1].tolist() == [7, 0, 0]
    assert weight.tolist() == [[1, 1, 0], [1, 0, 0]]


def test_pairs_and_graph():
    tf = pytest.importorskip("tensorflow")
    layer = preprocessor(
        mask_selection_rate=0.5, mask_token_rate=1.0, random_token_rate=0.0
    )
    pair = (["a b"] * 4, ["c"] * 4)
    x, y, weight = numpy(layer(x=pair))
    dataset = tf.data.Dataset.from_tensor_slices(pair).batch(4)
    [(x_graph, y_graph, weight_graph)] = dataset.map(
        lambda a, b: layer(x=(a, b))
    )
    for outputs in (x, x_graph):
        segments = np.asarray(outputs["segment_ids"])
        assert segments.tolist() == [[0, 0, 0, 0, 1, 1, 0, 0]] * 4
        hidden = np.asarray(outputs["token_ids"]) == MASK_ID
        assert hidden.sum(1).tolist() == [3] * 4
        assert np.asarray(outputs["padding_mask"]).sum() == 24
    assert sorted(y[0]) == sorted(y_graph.numpy()[0]) == [5, 6, 7]
    assert weight.sum() == weight_graph.numpy().sum() == 12


@both_paths
def test_weights_of_texts_weigh_their_tokens(path):
    layer = preprocessor(mask_selection_rate=1.0)
    if path is in_python:
        outputs = numpy(layer(["a b", "c"], [1, 0], [0.5, 2.0])[2])
    else:
        tf = pytest.importorskip("tensorflow")
        data = (["a b", "c"], [1, 0], [0.5, 2.0])
        [(_, _, outputs)] = tf.data.Dataset.from_tensors(data).map(layer)
    assert np.asarray(outputs).tolist() == [[0.5, 0.5, 0], [2, 0, 0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_selection_rate": 0}, "Received: mask_selection_rate=0"),
        ({"mask_selection_rate": 1.5}, "Received: mask_selection_rate=1.5"),
        ({"mask_selection_length": 0}, "Received: mask_selection_length=0"),
        ({"random_token_rate": 0.3}, "token_rate=0.8, random_token_rate=0.3"),
        ({"mask_token_rate": -0.1}, "Received: mask_token_rate=-0.1"),
        ({"sequence_length": 2}, "Received: sequence_length=2"),
        ({"truncate": "both"}, "Received: truncate='both'"),
    ],
)
def test_bad_arguments_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        preprocessor(**options)


def test_config_round_trip():
    options = {
        "truncate": "waterfall",
        "mask_selection_rate": 0.2,
        "mask_selection_length": 4,
        "mask_token_rate": 0.7,
        "random_token_rate": 0.2,
        "seed": 3,
    }
    layer = preprocessor(**options)
    config = layer.get_config()
    assert {name: config[name] for name in options} == options
    revived = ConvBertMaskedLMPreprocessor.from_config(
        json.loads(json.dumps(config))
    )
    assert revived.get_config() == config
    revived.tokenizer.set_vocabulary(texts.VOCABULARY)
    batch = texts.letters(20)
    found, wanted = (
        np.asarray(each(batch)[0]["token_ids"]).tolist()
        for each in (revived, layer)
    )
    assert found == wanted
