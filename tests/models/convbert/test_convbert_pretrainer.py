import json

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertPretrainerPreprocessor
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.training import AdamW
from tests.models.convbert import tiny

METRICS = {
    "loss",
    "mlm_loss",
    "mlm_accuracy",
    "sampled_accuracy",
    "rtd_loss",
    "rtd_accuracy",
    "rtd_auc",
    "rtd_precision",
    "rtd_recall",
}


@pytest.fixture(scope="module")
def pretrainer():
    """For the tests that only ask it."""
    return tiny.pretrainer(discriminator_weight=7.0)


def weights_of(model):
    return [np.asarray(w) for w in model.get_weights()]


@pytest.mark.parametrize("row_weights", [None, [1.0, 0.0, 2.0, 1.0, 0.5, 3.0]])
def test_loss_and_metrics_equal_the_formulas(pretrainer, row_weights):
    """Section 3 of ELECTRA, computed by NumPy from the task's outputs."""
    batch = tiny.sequences()
    found = pretrainer.predict(batch, verbose=0)
    scores = pretrainer.evaluate(
        batch,
        sample_weight=None if row_weights is None else np.array(row_weights),
        return_dict=True,
        verbose=0,
    )
    rows = np.reshape(row_weights or np.ones(6), (-1, 1))
    chosen = found["mask_weights"] * rows
    real = batch["padding_mask"] * rows
    logits, labels = found["rtd_logits"], found["rtd_labels"]
    losses = np.logaddexp(0, logits) - labels * logits
    expected = {
        "mlm_loss": np.average(found["mlm_losses"], weights=chosen),
        "mlm_accuracy": np.average(
            found["mlm_predictions"] == found["mask_ids"], weights=chosen
        ),
        "sampled_accuracy": np.average(
            found["sampled_ids"] == found["mask_ids"], weights=chosen
        ),
        "rtd_loss": np.average(losses, weights=real),
        "rtd_accuracy": np.average((logits > 0) == labels, weights=real),
        "rtd_recall": np.average(
            logits[labels > 0] > 0, weights=real[labels > 0]
        ),
    }
    expected["loss"] = expected["mlm_loss"] + 7.0 * expected["rtd_loss"]
    for name, value in expected.items():
        np.testing.assert_allclose(scores[name], value, rtol=1e-5, atol=1e-6)
    assert scores.keys() == METRICS


def test_guesses_are_of_the_masked_text_and_labels_of_what_differs(pretrainer):
    batch = tiny.sequences()
    found = pretrainer.predict(batch, verbose=0)
    corrupted = found["corrupted_token_ids"]
    np.testing.assert_array_equal(
        found["rtd_labels"], corrupted != batch["token_ids"]
    )
    assert found["rtd_labels"].sum() > 0
    rows = np.arange(6)[:, None]
    used = found["mask_weights"] > 0
    # Evaluation masks as a function of the text: mask by hand and compare.
    masked = pretrainer.mask_tokens(
        keras.ops.convert_to_tensor(batch["token_ids"]),
        padding_mask=keras.ops.convert_to_tensor(batch["padding_mask"]),
        training=False,
    )
    tensors = {k: keras.ops.convert_to_tensor(v) for k, v in batch.items()}
    guessed = pretrainer.generator(
        {**tensors, "token_ids": masked["masked_token_ids"]}
    )
    everywhere = keras.ops.tile(
        keras.ops.expand_dims(keras.ops.arange(16), 0), (6, 1)
    )
    head = pretrainer.mlm_head(guessed["sequence_output"], everywhere)
    logits = pretrainer.backbone.token_embedding(head["vectors"], reverse=True)
    logits = keras.ops.convert_to_numpy(logits + head["bias"])
    logits = logits[rows, found["mask_positions"]]
    shifted = logits - logits.max(-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    expected = -np.take_along_axis(
        log_probabilities, found["mask_ids"][..., None], -1
    )[..., 0]
    np.testing.assert_allclose(
        found["mlm_losses"][used],
        expected[used],
        rtol=1e-4,  # the loss is computed in chunks, summed in another order
        atol=1e-5,
    )


def test_evaluation_is_deterministic_and_independent_of_the_batch(pretrainer):
    batch = tiny.sequences()
    first = pretrainer.evaluate(batch, verbose=0, return_dict=True)
    assert first == pretrainer.evaluate(batch, verbose=0, return_dict=True)
    in_pairs = pretrainer.predict(batch, batch_size=2, verbose=0)
    for name, value in pretrainer.predict(batch, verbose=0).items():
        np.testing.assert_allclose(value, in_pairs[name], atol=1e-5)


def test_embeddings_are_shared_and_trained_by_both():
    pretrainer = tiny.pretrainer()
    for name in (
        "token_embedding",
        "position_embedding",
        "segment_embedding",
        "embeddings_layer_norm",
    ):
        assert getattr(pretrainer.generator, name) is getattr(
            pretrainer.backbone, name
        )
    # By their paths Keras finds, on torch, the gradients to reset.
    paths = [w.path for w in pretrainer.weights]
    assert len(paths) == len(set(paths))
    # Without the detector's loss the tables still learn, from the generator.
    pretrainer = tiny.pretrainer(discriminator_weight=0.0)
    tiny.compile_cheaply(pretrainer, keras.optimizers.SGD(1.0))
    before = weights_of(pretrainer.backbone.token_embedding)[0]
    block = pretrainer.backbone.transformer_layers[0]
    blocks = weights_of(block)
    pretrainer.fit(tiny.sequences(), verbose=0)
    after = pretrainer.backbone.token_embedding.get_weights()[0]
    assert np.abs(after - before).max() > 1e-4
    # No gradient crosses the samples.
    for old, new in zip(blocks, weights_of(block), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.once
@pytest.mark.parametrize(
    ("size", "scale", "count"),
    [
        ("convbert_small", 1 / 4, 14_019_903),
        pytest.param(
            "convbert_medium_small", 1 / 4, 18_539_191, marks=pytest.mark.long
        ),
        pytest.param(
            "convbert_base", 1 / 3, 115_836_059, marks=pytest.mark.long
        ),
    ],
)
def test_parameters_of_the_authors_pretraining_graph(size, scale, count):
    backbone = ConvBertBackbone.from_preset(size, load_weights=False)
    pretrainer = ConvBertPretrainer(
        backbone,
        generator_scale=scale,
        mask_token_id=103,
        special_token_ids=[0, 101, 102, 103],
    )
    assert pretrainer.count_params() == count


@pytest.mark.long
def test_learns_to_copy_a_pattern():
    """Each text repeats one token: what is hidden stands beside itself."""
    generator = np.random.default_rng(0)
    batch = tiny.sequences(rows=64)
    token = generator.integers(5, tiny.VOCABULARY_SIZE, (64, 1))
    ordinary = ~np.isin(batch["token_ids"], tiny.SPECIAL_IDS)
    batch["token_ids"] = np.where(ordinary, token, batch["token_ids"])
    batch["token_ids"] = batch["token_ids"].astype("int32")
    pretrainer = tiny.pretrainer(dropout=0.0, generator_scale=0.5, seed=0)
    tiny.compile_cheaply(pretrainer, AdamW(5e-3))
    before = pretrainer.evaluate(batch, verbose=0, return_dict=True)
    pretrainer.fit(batch, epochs=60, verbose=0)
    after = pretrainer.evaluate(batch, verbose=0, return_dict=True)
    assert after["mlm_loss"] < before["mlm_loss"] - 1.0
    assert after["rtd_auc"] > 0.9 > before["rtd_auc"]


@pytest.mark.parametrize(
    ("policy", "optimizer"),
    [("float32", "auto"), ("mixed_bfloat16", AdamW(1e-3))],
    ids=["float32-auto", "mixed_bfloat16-adamw"],
)
def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(
    policy, optimizer, tmp_path
):
    keras.config.set_dtype_policy(policy)
    batch = tiny.sequences()
    pretrainer = tiny.pretrainer(dropout=0.3)
    options = {"shuffle": False, "batch_size": 2, "verbose": 0}
    tiny.compile_cheaply(pretrainer, optimizer)
    pretrainer.fit(batch, **options)
    pretrainer.save(tmp_path / "pretrainer.keras")
    reloaded = keras.models.load_model(tmp_path / "pretrainer.keras")
    assert reloaded.generator.token_embedding is (
        reloaded.backbone.token_embedding
    )
    assert int(reloaded.optimizer.iterations) == 3
    assert reloaded.optimizer.get_config() == pretrainer.optimizer.get_config()
    # On torch both draw from the global generator, so one after the other,
    # and the reloaded one first, which has put it back.
    found = reloaded.fit(batch, **options).history
    if keras.backend.backend() == "torch":
        keras.models.load_model(tmp_path / "pretrainer.keras")
    assert found == pretrainer.fit(batch, **options).history
    for one, other in zip(
        weights_of(pretrainer), weights_of(reloaded), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_default_rate_rises_and_falls_over_the_steps_of_fit():
    batch = tiny.sequences(rows=10)
    pretrainer = tiny.pretrainer()
    pretrainer.fit(batch, batch_size=2, epochs=2, verbose=0)
    rate = pretrainer.optimizer._learning_rate
    assert (rate.warmup_steps, rate.total_steps) == (1, 10)
    np.testing.assert_allclose(float(rate(2)), 5e-4 * 0.8, rtol=1e-6)
    # A further fit has a rate of its own, and does not stand still.
    before = weights_of(pretrainer)
    pretrainer.fit(batch, batch_size=2, verbose=0)
    assert pretrainer.optimizer._learning_rate.total_steps == 15
    after = weights_of(pretrainer)
    assert (
        max(np.abs(a - b).max() for a, b in zip(after, before, strict=False))
        > 1e-4
    )


def text_pretrainer(**options):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    return ConvBertPretrainer(
        tiny.backbone(vocabulary_size=len(tokens)),
        preprocessor=ConvBertPretrainerPreprocessor(
            ConvBertTokenizer(tokens), sequence_length=12
        ),
        **options,
    )


def test_takes_strings_pairs_ids_and_tf_data():
    tf = pytest.importorskip("tensorflow")
    pretrainer = text_pretrainer()
    assert pretrainer.mask_token_id == 4
    assert pretrainer.special_token_ids == [0, 2, 3, 4]
    tiny.compile_cheaply(pretrainer, "auto")
    texts = ["a b c d", "e f g", "h a", "b b c c d d"]
    history = pretrainer.fit(
        texts, verbose=0, validation_data=(texts,), epochs=2
    )
    assert {f"val_{name}" for name in METRICS} < history.history.keys()
    pretrainer.fit((texts, texts[::-1]), verbose=0)
    pretrainer.fit(
        tf.data.Dataset.from_tensor_slices(texts).batch(2), verbose=0
    )
    ids = pretrainer.preprocessor(texts)
    by_text = pretrainer.evaluate(texts, return_dict=True, verbose=0)
    by_ids = pretrainer.evaluate(ids, return_dict=True, verbose=0)
    assert by_text == by_ids
    assert pretrainer.predict(texts, verbose=0)["rtd_logits"].shape == (4, 12)


def test_any_length_and_one_row(pretrainer):
    for rows, length in [(1, 5), (2, 32)]:
        outputs = pretrainer.predict(tiny.sequences(rows, length), verbose=0)
        slots = max(1, int(0.155 * length))
        assert outputs["rtd_logits"].shape == (rows, length)
        assert outputs["mlm_losses"].shape == (rows, slots)
        assert np.isfinite(outputs["mlm_losses"]).all()


@pytest.mark.long
def test_compiles_where_the_backend_does():
    if keras.backend.backend() == "torch":
        pytest.skip("torch compiles for minutes: `make test-long` territory")
    pretrainer = tiny.pretrainer()
    pretrainer.compile(jit_compile=True)
    history = pretrainer.fit(tiny.sequences(), verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_config_goes_through_json():
    pretrainer = tiny.pretrainer(temperature=0.5, seed=3)
    text = json.dumps(pretrainer.get_config())
    again = ConvBertPretrainer.from_config(json.loads(text))
    assert json.dumps(again.get_config()) == text
    assert again.generator.hidden_dim == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_rate": 0.0}, "mask_rate=0.0"),
        ({"mask_token_rate": 1.5}, "mask_token_rate=1.5"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"mask_token_id": None}, "mask_token_id=None"),
        ({"special_token_ids": None}, "special_token_ids=None"),
        ({"generator_scale": 0.6}, "generator_scale=0.6"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_errors_name_what_came(options, message):
    with pytest.raises(ValueError, match=message):
        tiny.pretrainer(**options)


def test_a_loss_is_refused():
    with pytest.raises(ValueError, match=r"its own loss\. Received: loss=mse"):
        tiny.pretrainer().compile(loss="mse")
