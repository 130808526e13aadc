import keras
import numpy as np
import pytest

from keras_convbert.training import AdamW
from keras_convbert.training import LayerwiseDecay
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert import tiny

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
PATHS = {
    "token_embedding/embeddings": 13,
    "embeddings_layer_norm/gamma": 13,
    "backbone/embeddings_projection/kernel": 13,
    "transformer_layer_0/mixed_attention/query/kernel": 12,
    "transformer_layer_11/output_dense/bias": 1,
    "x/transformer_layer_11/mixed_attention/query/lora_kernel_a": 1,
    "logits/kernel": 0,
    "mlm_head/dense/kernel": 0,
}


@pytest.mark.once
@pytest.mark.parametrize("path", PATHS)
def test_rates_fall_layer_by_layer(path):
    depth = PATHS[path]
    assert LayerwiseDecay(12).scale(path) == pytest.approx(0.8**depth)
    # The authors' code: "0.8 ** (L + 2 - depth)", with no layer of depth 1.
    authors = LayerwiseDecay(12, decay=0.5, skip_one=True)
    assert authors.scale(path) == pytest.approx(0.5 ** (depth and depth + 1))


@pytest.mark.once
def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="num_layers=0"):
        LayerwiseDecay(0)
    with pytest.raises(ValueError, match=r"decay=1.5"):
        LayerwiseDecay(2, decay=1.5)
    with pytest.raises(ValueError, match=r"num_layers=2.*transformer_layer_2"):
        LayerwiseDecay(2).scale("transformer_layer_2/output_dense/kernel")


def one_step(optimizer, batch_size=6):
    """How far the weights of a classifier go in a step, by path."""
    keras.utils.set_random_seed(0)
    still = {"dropout": 0.0, "attention_dropout": 0.0}
    task = tasks.classifier(backbone_options=still, dropout=0.0)
    task.compile(optimizer, LOSS)
    tiny.eagerly_on_tensorflow(task)
    before = {w.path: to_numpy(w) for w in task.trainable_weights}
    task.fit(
        texts.letters(6),
        np.arange(6) % 3,
        batch_size=batch_size,
        shuffle=False,
        verbose=0,
    )
    return {
        w.path: to_numpy(w) - before[w.path] for w in task.trainable_weights
    }


def test_every_weight_moves_by_its_share():
    decay = LayerwiseDecay(num_layers=1, decay=0.5)
    whole = one_step(AdamW(1e-3, weight_decay=0.1))
    parts = one_step(AdamW(1e-3, weight_decay=0.1, layerwise_decay=decay))
    scales = set()
    for path, step in whole.items():
        scale = decay.scale(path)
        scales.add(scale)
        np.testing.assert_allclose(
            parts[path],
            step * scale,
            rtol=1e-3,  # steps of 1e-3 are differences of weights near 1
            atol=2e-7,
            err_msg=path,
        )
    assert scales == {1.0, 0.5, 0.25}


def test_without_bias_correction_the_first_step_is_the_authors():
    """`m / (sqrt(v) + epsilon)`, of means that started at zero."""
    start = np.array([1.0, -2.0], "float32")
    gradients = [np.array([0.5, -0.1], "float32"), np.array([0.2, 0.3], "f4")]
    variable = keras.Variable(start, name="kernel", dtype="float32")
    optimizer = AdamW(0.1, weight_decay=0.01, bias_correction=False)
    value, mean, square = start.astype("float64"), 0.0, 0.0
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient.astype("float64") ** 2
        update = mean / (np.sqrt(square) + 1e-6) + 0.01 * value
        value = value - 0.1 * update
        np.testing.assert_allclose(
            to_numpy(variable),
            value,
            rtol=1e-4,  # `1 - beta_2` in float32 is 1.3e-5 too small
        )


def test_training_goes_on_from_a_file(tmp_path):
    task = tasks.classifier()
    optimizer = AdamW(
        1e-3,
        bias_correction=False,
        layerwise_decay=LayerwiseDecay(num_layers=1, skip_one=True),
    )
    task.compile(optimizer, LOSS)
    tiny.eagerly_on_tensorflow(task)
    tasks.assert_goes_on_from_file(
        task, tmp_path / "task.keras", texts.letters(6), np.arange(6) % 3
    )


def test_gradients_are_accumulated():
    options = {
        "weight_decay": 0.0,
        "layerwise_decay": LayerwiseDecay(num_layers=1, decay=0.5),
    }
    whole = one_step(AdamW(1e-3, **options))
    halves = AdamW(1e-3, gradient_accumulation_steps=2, **options)
    for path, step in one_step(halves, batch_size=3).items():
        np.testing.assert_allclose(
            step,
            whole[path],
            atol=1e-4,  # Adam divides tiny gradients by their own size
            err_msg=path,
        )


@pytest.mark.filterwarnings("ignore:Skipping variable loading")
def test_it_goes_with_lora(tmp_path):
    task = tasks.classifier()
    task.backbone.enable_lora(2)
    decay = LayerwiseDecay(num_layers=1)
    task.compile(AdamW(1e-3, layerwise_decay=decay), LOSS)
    tiny.eagerly_on_tensorflow(task)
    x, y = texts.letters(6), np.arange(6) % 3
    task.fit(x, y, verbose=0)
    task.save(tmp_path / "task.keras")
    revived = keras.saving.load_model(tmp_path / "task.keras")
    found = revived.optimizer.layerwise_decay
    assert found.get_config() == decay.get_config()
    arrays = tasks.inputs(task, x)
    np.testing.assert_allclose(
        tasks.outputs(revived, arrays), tasks.outputs(task, arrays), atol=1e-5
    )
