import keras
import numpy as np
import pytest

from keras_convbert.layers import MixedAttention
from keras_convbert.layers import mixed_attention as module
from tests.layers import formulas
from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import to_numpy

B, T, D, H, R, K = 2, 7, 10, 2, 4, 3
MASK = np.arange(T) < np.array([[T], [T - 3]])
PAIRS = np.tril(np.ones((B, T, T), dtype="bool"))


def built(**options):
    sizes = {"num_heads": H, "head_dim": R, "kernel_size": K}
    layer = MixedAttention(kernel_initializer="zeros", **{**sizes, **options})
    layer.build((B, T, D))
    randomise(layer)
    return layer


def inputs_of(length=T):
    rng = np.random.default_rng(0)
    return rng.normal(size=(B, length, D)).astype("float32")


@pytest.mark.parametrize("scores_asked", [True, False], ids=["scores", "fused"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
@pytest.mark.parametrize("pairs", [None, PAIRS], ids=["both", "causal"])
def test_equals_the_formula(scores_asked, mask, pairs):
    layer = built(output_dim=6)
    found = layer(
        inputs_of(),
        padding_mask=mask,
        attention_mask=pairs,
        return_attention_scores=scores_asked,
    )
    wanted = formulas.mixed_attention(
        formulas.weights_of(layer), inputs_of(), mask, pairs, conv_mask=mask
    )
    if not scores_asked:
        found, wanted = [found], wanted[:1]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(to_numpy(one), other, atol=5e-6)


def test_scores_and_kernels_sum_to_one():
    _, scores, kernels = built()(
        inputs_of(), padding_mask=MASK, return_attention_scores=True
    )
    assert scores.shape == (B, H, T, T)
    assert kernels.shape == (B, T, H, K)
    np.testing.assert_allclose(to_numpy(scores).sum(-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(to_numpy(kernels).sum(-1), 1.0, atol=1e-6)
    assert not to_numpy(scores)[1, :, :, T - 3 :].any()


def test_without_convolution():
    layer = built(conv=False)
    outputs, scores, kernels = layer(inputs_of(), return_attention_scores=True)
    assert kernels is None
    wanted = formulas.mixed_attention(formulas.weights_of(layer), inputs_of())
    np.testing.assert_allclose(to_numpy(outputs), wanted[0], atol=5e-6)
    np.testing.assert_allclose(to_numpy(scores), wanted[1], atol=2e-6)


def test_padding_changes_no_valid_position():
    layer = built()
    valid = slice(0, T - 3)
    padded = to_numpy(layer(inputs_of(), padding_mask=MASK))[1, valid]
    alone = to_numpy(layer(inputs_of()[1:, valid]))[0]
    np.testing.assert_allclose(padded, alone, atol=5e-6)


def test_the_leak_of_the_authors_is_reproduced():
    layer = built(mask_conv=False)
    weights = formulas.weights_of(layer)
    found = to_numpy(layer(inputs_of(), padding_mask=MASK))
    leaking = formulas.mixed_attention(weights, inputs_of(), MASK)[0]
    tight = formulas.mixed_attention(
        weights, inputs_of(), MASK, conv_mask=MASK
    )[0]
    np.testing.assert_allclose(found, leaking, atol=5e-6)
    # With three taps only one position reads the padding.
    difference = np.abs(leaking - tight)[1].max(-1)
    assert difference[T - 4] > 1e-2
    assert difference[: T - 4].max() < 1e-12


def test_without_convolution_a_causal_layer_sees_no_future():
    layer = built(conv=False)
    changed = inputs_of()
    changed[:, 4:] += 1.0
    before = to_numpy(layer(inputs_of(), attention_mask=PAIRS))
    after = to_numpy(layer(changed, attention_mask=PAIRS))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert np.abs(before[:, 4:] - after[:, 4:]).min() > 0


def test_a_given_mask_wins_over_a_carried_one():
    embedding = keras.layers.Embedding(9, D, mask_zero=True)
    carrying = embedding(np.array([[1, 2, 3, 4, 0, 0, 0]]))
    layer = built()
    everything = np.ones((1, T), dtype="int32")
    given = layer(carrying, padding_mask=everything)
    bare = layer(to_numpy(carrying))
    np.testing.assert_array_equal(to_numpy(given), to_numpy(bare))


def test_scores_are_computed_only_where_they_are_needed(monkeypatch):
    calls = []

    def spy(*arguments):
        calls.append("fused")
        return fused_attention(*arguments)

    fused_attention = module.fused_attention
    monkeypatch.setattr(module, "fused_attention", spy)
    dropping, keeping = built(dropout=0.5), built(dropout=0.0)
    dropping(inputs_of(), training=False)
    keeping(inputs_of(), training=True)
    assert len(calls) == 2
    keeping(inputs_of(), return_attention_scores=True)
    built(dropout=0.5, seed=1)(inputs_of(), training=True)
    assert len(calls) == 2
    # The PyTorch kernel drops probabilities itself if there is no seed.
    dropping(inputs_of(), training=True)
    assert len(calls) == 2 + (keras.backend.backend() == "torch")


def test_dropout_acts_in_training_alone():
    layer = built(dropout=0.5, seed=1)
    still = to_numpy(layer(inputs_of(), training=False))
    np.testing.assert_array_equal(to_numpy(layer(inputs_of())), still)
    first = to_numpy(layer(inputs_of(), training=True))
    second = to_numpy(layer(inputs_of(), training=True))
    assert np.abs(first - still).max() > 1e-3
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("seed", [None, 1])
def test_dropout_of_probabilities_is_right_on_average(seed):
    layer = built(dropout=0.3, seed=seed, conv=False)
    inputs = np.repeat(inputs_of()[:1], 4000, axis=0)
    mask = np.repeat(MASK[1:], 4000, axis=0)
    still = to_numpy(layer(inputs[:1], padding_mask=mask[:1]))
    drawn = to_numpy(layer(inputs, padding_mask=mask, training=True))
    errors = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert errors.min() > 1e-4
    deviations = np.abs(drawn.mean(axis=0) - still[0]) / errors
    assert deviations.max() < 4.5  # of 70 errors, in deviations


def test_a_seed_drawn_beforehand_repeats_the_noise():
    layer = built(dropout=0.5, seed=1)
    seed = layer.draw_dropout_seed()
    one, other = (
        to_numpy(layer(inputs_of(), training=True, dropout_seed=seed))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_noise_from_a_drawn_seed_has_its_rate(rate):
    layer = built(dropout=rate, seed=1).attention_dropout
    ones = np.ones((300, 300), dtype="float32")
    kept = to_numpy(layer(ones, training=True, dropout_seed=layer.draw_seed()))
    np.testing.assert_allclose(np.unique(kept), [0, 1 / (1 - rate)], rtol=1e-6)
    assert abs((kept == 0).mean() - rate) < 0.01  # 90,000 draws


def test_symbolic_scores_and_kernels():
    outputs, scores, kernels = MixedAttention(H, R, K, output_dim=6)(
        keras.Input((None, D)), return_attention_scores=True
    )
    assert outputs.shape == (None, None, 6)
    assert scores.shape == (None, H, None, None)
    assert kernels.shape == (None, None, H, K)


def test_attention_over_every_key_masked_is_their_mean():
    layer = built(conv=False)
    nothing = np.zeros((B, T), dtype="int32")
    fused = layer(inputs_of(), padding_mask=nothing)
    held, scores, _ = layer(
        inputs_of(), padding_mask=nothing, return_attention_scores=True
    )
    np.testing.assert_allclose(to_numpy(scores), 1 / T, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(fused), to_numpy(held), atol=2e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": -1}, "`num_heads`.*Received: num_heads=-1"),
        ({"head_dim": None}, "`head_dim`.*Received: head_dim=None"),
        ({"kernel_size": 2}, "odd integer. Received: kernel_size=2"),
        ({"output_dim": 0}, "`output_dim`.*Received: output_dim=0"),
        ({"dropout": 1.0}, "less than 1. Received: dropout=1.0"),
        ({"dropout": "0.1"}, "`dropout`.*Received: dropout='0.1'"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        built(**options)


def test_a_flat_attention_mask_is_refused():
    with pytest.raises(ValueError, match=r"attention_mask.shape=\(7, 7\)"):
        built()(inputs_of(), attention_mask=PAIRS[0])
