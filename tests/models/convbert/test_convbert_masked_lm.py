import itertools
import json
import math

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.training import AdamW
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert import tiny
from tests.models.convbert.tasks import masked_lm

X = texts.letters(12, longest=7)


@pytest.fixture(scope="module")
def task():
    """For tests that leave it as it is."""
    return masked_lm()


@pytest.fixture(scope="module")
def masked(task):
    """One choice of masks: inputs, hidden ids, weights."""
    return keras.tree.map_structure(
        keras.ops.convert_to_numpy, task.preprocessor(X)
    )


def weights_of(task):
    return [keras.ops.convert_to_numpy(weight) for weight in task.weights]


def log_softmax(logits):
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_head_is_what_numpy_makes_of_the_masked_places(task, masked):
    x, _, _ = masked
    sequences = keras.ops.convert_to_numpy(
        task.backbone({k: x[k] for k in x if k != "mask_positions"})[
            "sequence_output"
        ]
    )
    head = task.masked_lm_head
    embeddings = keras.ops.convert_to_numpy(
        task.backbone.token_embedding.embeddings
    )
    kernel, bias = head.dense.get_weights()
    gamma, beta = head.layer_norm.get_weights()
    chosen = np.take_along_axis(sequences, x["mask_positions"][..., None], 1)
    hidden = chosen @ kernel + bias
    hidden *= 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    hidden -= hidden.mean(-1, keepdims=True)
    hidden /= np.sqrt((hidden**2).mean(-1, keepdims=True) + 1e-12)
    wanted = (hidden * gamma + beta) @ embeddings.T
    wanted += keras.ops.convert_to_numpy(head.output_bias)
    found = tasks.outputs(task, x)
    assert found.shape == (12, 2, len(texts.VOCABULARY))
    np.testing.assert_allclose(
        found,
        wanted,
        atol=2e-5,  # logits sum 16 float32 products, in another order
    )


def test_loss_is_the_mean_over_hidden_tokens(task, masked):
    x, y, weight = masked
    assert 0 < weight.mean() < 1
    log_probabilities = log_softmax(tasks.outputs(task, x))
    rows, slots = np.nonzero(weight)
    losses = -log_probabilities[rows, slots, y[rows, slots]]
    right = log_probabilities.argmax(-1) == y
    preprocessor, task.preprocessor = task.preprocessor, None
    found = task.evaluate(x, y, sample_weight=weight, verbose=0)
    task.preprocessor = preprocessor
    wanted = [losses.mean(), right[rows, slots].mean()]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_nothing_hidden_gives_no_nan(task, masked):
    x, y, weight = masked
    preprocessor, task.preprocessor = task.preprocessor, None
    loss, _ = task.evaluate(x, y, sample_weight=0 * weight, verbose=0)
    task.preprocessor = preprocessor
    assert loss == 0


def test_raw_strings_are_learned():
    # A place tells its letter.
    x = ["a b c d e f"] * 48
    task = masked_lm(backbone_options={"dropout": 0.0})
    task.compile(optimizer=AdamW(1e-2))
    tiny.eagerly_on_tensorflow(task)
    history = task.fit(x, batch_size=16, epochs=3, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    # One in six by chance.
    assert task.evaluate(x[:32], verbose=0)[1] > 0.6


def test_pairs_and_tf_data():
    tf = pytest.importorskip("tensorflow")
    task = masked_lm()
    pair = (texts.letters(6, longest=4), texts.letters(6, longest=3, seed=1))
    task.fit(pair, verbose=0)
    task.fit(tf.data.Dataset.from_tensor_slices(X).batch(12), verbose=0)
    assert int(task.optimizer.iterations) == 2
    assert task.predict(pair, verbose=0).shape == (6, 2, 21)


def test_padding_does_not_matter(task, masked):
    x, _, _ = masked
    longer = {
        name: value
        if name == "mask_positions"
        else np.pad(value, ((0, 0), (0, 5)))
        for name, value in x.items()
    }
    found = tasks.outputs(task, longer)
    np.testing.assert_allclose(found, tasks.outputs(task, x), atol=1e-5)
    alone = {name: value[:1] for name, value in x.items()}
    np.testing.assert_allclose(
        tasks.outputs(task, alone), tasks.outputs(task, x)[:1], atol=1e-5
    )


def test_mixed_precision_is_near(task, masked):
    x, _, _ = masked
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = masked_lm()
    half.set_weights(weights_of(task))
    assert {w.dtype for w in half.trainable_weights} == {"float32"}
    # Eight bits of mantissa, a few layers deep.
    found, wanted = (tasks.outputs(each, x) for each in (half, task))
    np.testing.assert_allclose(
        found,
        wanted,
        atol=0.1,  # bfloat16 has 8 bits of mantissa, over several layers
    )
    half.fit(X, verbose=0)
    assert int(half.optimizer.iterations) == 1


def test_training_goes_on_from_a_file_bit_by_bit(tmp_path):
    # On strings: the masks go on as well.
    task = masked_lm()
    revived = tasks.assert_goes_on_from_file(task, tmp_path / "task.keras", X)
    # The embeddings of the head are those of the backbone.
    assert len(revived.weights) == len(task.weights)
    found, wanted = (
        keras.ops.convert_to_numpy(each.preprocessor(X)[0]["mask_positions"])
        for each in (revived, task)
    )
    np.testing.assert_array_equal(found, wanted)


def test_file_of_an_unknown_generator_is_refused(tmp_path):
    (tmp_path / "generator.json").write_text('{"bit_generator": "MT19937"}')
    with pytest.raises(ValueError, match=r"generator.json holds no valid"):
        masked_lm().preprocessor.load_assets(str(tmp_path))


@pytest.mark.long
def test_int8_survives_a_file(tmp_path, masked):
    x, _, _ = masked
    task = masked_lm()
    before = tasks.outputs(task, x)
    task.quantize("int8")
    after = tasks.outputs(task, x)
    assert 0 < abs(after - before).max() < 0.2  # embeddings have 8 bits, too
    for _ in range(2):
        task.save(tmp_path / "task.keras")
        task = keras.saving.load_model(tmp_path / "task.keras")
        np.testing.assert_array_equal(tasks.outputs(task, x), after)
    assert task.masked_lm_head.dense.kernel.dtype == "int8"


def test_config_round_trip():
    task = masked_lm(name="guesser")
    config = json.loads(json.dumps(task.get_config()))
    revived = ConvBertMaskedLM.from_config(config)
    assert revived.get_config() == task.get_config()
    assert revived.count_params() == task.count_params()


def test_fill_mask_gives_the_likeliest_tokens():
    task = tasks.masked_lm()
    samples = ["a [MASK] b", "[MASK] [MASK]", "é[MASK]."]
    found = task.fill_mask(samples, top_k=3)
    assert [len(masks) for masks in found] == [1, 2, 1]
    again = task.fill_mask(samples, top_k=3, batch_size=1)
    for one, other in zip(
        [*itertools.chain(*found)],
        [*itertools.chain(*again)],
        strict=True,
    ):
        assert [a["token"] for a in one] == [a["token"] for a in other]
    vocabulary = texts.VOCABULARY
    ids = [*map(vocabulary.index, ("[CLS]", "[MASK]", "[MASK]", "[SEP]"))]
    inputs = {
        "token_ids": np.array([ids]),
        "segment_ids": np.zeros((1, 4), "int32"),
        "padding_mask": np.ones((1, 4), "int32"),
        "mask_positions": np.array([[1, 2]]),
    }
    shares = np.exp(tasks.outputs(task, inputs)[0])
    shares /= shares.sum(axis=-1, keepdims=True)
    for answers, share in zip(found[1], shares, strict=True):
        order = np.argsort(-share)[:3]
        assert [answer["token_id"] for answer in answers] == order.tolist()
        for answer in answers:
            number = answer["token_id"]
            assert answer["token"] == vocabulary[number]
            found = answer["probability"]
            assert abs(found - share[number]) < 1e-5


@pytest.mark.once
def test_fill_mask_needs_a_mask():
    task = tasks.masked_lm()
    with pytest.raises(ValueError, match=r"Expected \[MASK\].*none in 'a'"):
        task.fill_mask(["[MASK]", "a"])
    with pytest.raises(ValueError, match="at token 9"):
        task.fill_mask(["a b c d e f g h [MASK]"])
    with pytest.raises(ValueError, match="list of strings"):
        task.fill_mask("[MASK]")
    with pytest.raises(ValueError, match="top_k=0"):
        task.fill_mask(["[MASK]"], top_k=0)
    assert task.fill_mask([]) == []
