"""Tests of every layer: configs, saving, training, precision."""

import inspect
import json
import warnings

import keras
import numpy as np
import pytest

from tests.layers.lifecycle import BATCH
from tests.layers.lifecycle import CASES
from tests.layers.lifecycle import LENGTH
from tests.layers.lifecycle import WIDTH
from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import run
from tests.layers.lifecycle import to_numpy

every_layer = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
with_products = pytest.mark.parametrize(
    "case",
    [case for case in CASES.values() if case.num_products],
    ids=[name for name, case in CASES.items() if case.num_products],
)


def reloaded(model, folder):
    path = str(folder / "model.keras")
    model.save(path)
    return keras.saving.load_model(path)


@every_layer
def test_config_survives_json_and_holds_every_argument(case):
    layer = case.layer(
        kernel_initializer=keras.initializers.RandomNormal(seed=3),
        bias_initializer="ones",
        kernel_regularizer=keras.regularizers.L2(0.1),
        bias_regularizer="l1",
        kernel_constraint=keras.constraints.MaxNorm(2.0),
        bias_constraint="non_neg",
        dtype="mixed_bfloat16",
        trainable=False,
    )
    config = layer.get_config()
    arguments = inspect.signature(case.layer_class.__init__).parameters
    assert set(arguments) - {"self", "kwargs"} <= set(config)

    saved = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(saved))
    assert type(again) is case.layer_class
    assert again.get_config() == config
    for name, value in case.options.items():
        if name != "activation":
            assert getattr(again, name) == value


@every_layer
def test_build_makes_every_weight_and_a_reload_restores_it(case, tmp_path):
    layer = case.built()
    paths = [weight.path for weight in layer.weights]
    assert len(paths) == case.num_weights
    assert len(set(paths)) == len(paths)
    randomise(layer)

    model = case.model(layer)
    arrays = case.arrays()
    compiled = model.predict(arrays, verbose=0)
    assert [weight.path for weight in layer.weights] == paths
    again = reloaded(model, tmp_path)
    np.testing.assert_array_equal(again.predict(arrays, verbose=0), compiled)


@every_layer
def test_unknown_sizes_give_what_known_ones_do(case):
    model = case.model()
    layer = model.get_layer("tested")
    randomise(layer)
    arrays = case.arrays()
    eager = to_numpy(case.call(layer, arrays))
    np.testing.assert_allclose(
        model.predict(arrays, verbose=0), eager, atol=2e-6
    )
    assert layer.compute_output_shape(*case.shapes) == eager.shape
    assert model.output.shape == (None, None, *eager.shape[2:])


@every_layer
def test_a_step_of_training_moves_every_weight(case):
    model = case.model()
    layer = model.get_layer("tested")
    randomise(layer)
    before = [to_numpy(weight) for weight in layer.weights]
    arrays = case.arrays()
    shape = layer.compute_output_shape(*case.shapes)
    targets = np.random.default_rng(5).normal(size=shape)
    model.compile("sgd", "mse")
    history = model.fit(arrays, targets, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for weight, old in zip(layer.weights, before, strict=True):
        # The bias of the keys adds the same number to all scores of a query.
        if not weight.path.endswith("/key/bias"):
            assert np.abs(to_numpy(weight) - old).max() > 0, weight.path


@every_layer
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision(case, dtype):
    model = case.model(dtype=f"mixed_{dtype}")
    layer = model.get_layer("tested")
    for part in layer._flatten_layers():
        assert part.dtype_policy.name == f"mixed_{dtype}"
    assert {w.dtype for w in layer.weights} == {"float32"}
    assert model.output.dtype == dtype
    randomise(layer)
    arrays = case.arrays()
    outputs = run(model, arrays)
    assert outputs.dtype.name == dtype
    if case.takes_mask:
        arrays[-1] = np.zeros_like(arrays[-1])
        outputs = run(model, arrays)
    assert np.isfinite(outputs.astype("float32")).all()


@every_layer
def test_regularizers_and_constraints_reach_every_kernel_and_bias(case):
    layer = case.built(
        kernel_regularizer=keras.regularizers.L2(1.0),
        bias_regularizer=keras.regularizers.L1(1.0),
        kernel_constraint=keras.constraints.MaxNorm(2.0),
        bias_constraint=keras.constraints.NonNeg(),
    )
    randomise(layer)
    kernels = [w for w in layer.weights if w.name.endswith("kernel")]
    biases = [w for w in layer.weights if w.name.endswith("bias")]
    norms = [w for w in layer.weights if w.name in ("gamma", "beta")]
    assert len(kernels) + len(biases) + len(norms) == case.num_weights
    wanted = sum(np.square(to_numpy(w)).sum() for w in kernels)
    wanted += sum(np.abs(to_numpy(w)).sum() for w in biases)
    found = sum(float(to_numpy(loss)) for loss in layer.losses)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for weight in kernels:
        assert isinstance(weight.constraint, keras.constraints.MaxNorm)
    for weight in biases:
        assert isinstance(weight.constraint, keras.constraints.NonNeg)


@every_layer
def test_each_kernel_is_drawn_independently(case):
    layer = case.built(kernel_initializer="glorot_normal")
    drawn = [to_numpy(w).ravel() for w in layer.weights if "kernel" in w.name]
    starts = [tuple(values[:6]) for values in drawn]
    assert len(set(starts)) == len(starts)


@with_products
def test_int8_stays_near_and_survives_two_reloads(case, tmp_path):
    model = case.model()
    randomise(model.get_layer("tested"))
    arrays = case.arrays()
    exact = run(model, arrays)
    model.quantize("int8")
    quantized = run(model, arrays)
    error = np.abs(quantized - exact).max() / np.abs(exact).max()
    assert 0 < error < 0.05  # weights and inputs have 8 bits

    again = reloaded(reloaded(model, tmp_path), tmp_path)
    modes = [part.quantization_mode for part in again._flatten_layers()]
    assert modes.count("int8") == case.num_products
    np.testing.assert_array_equal(run(again, arrays), quantized)


@pytest.mark.parametrize("name", ["GroupedDense", "DynamicConv1D"])
def test_a_layer_quantizes_its_own_matrix_products(name):
    layer = CASES[name].built()
    layer.quantize("int8")
    modes = [part.quantization_mode for part in layer._flatten_layers()]
    assert modes.count("int8") == CASES[name].num_products


@with_products
def test_lora_adds_trainable_factors_and_survives_a_reload(case, tmp_path):
    model = case.model()
    layer = model.get_layer("tested")
    layer.enable_lora(2)
    added = [w for w in layer.trainable_weights if "lora" in w.name]
    assert len(added) == 2 * case.num_products
    assert not any(w.name == "kernel" for w in layer.trainable_weights)
    randomise(layer)
    # Keras adds the product of the factors to the kernel when it saves.
    again = reloaded(model, tmp_path)
    arrays = case.arrays()
    np.testing.assert_allclose(
        run(again, arrays), run(model, arrays), atol=2e-6
    )


def test_lora_needs_a_matrix_product():
    layer = CASES["LightweightConv1D"].built()
    with pytest.raises(ValueError, match=r"with a matrix product.*Lightweight"):
        layer.enable_lora(2)


MASKED = [name for name, case in CASES.items() if case.takes_mask]
IDS = np.array([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 0, 0]])


@pytest.mark.parametrize("name", MASKED)
def test_a_keras_mask_counts_as_a_given_one_does(name):
    case = CASES[name]
    layer = case.built()
    randomise(layer)
    masked = keras.layers.Embedding(7, WIDTH, mask_zero=True)(IDS)
    arrays = [to_numpy(masked), *case.arrays()[1:-1]]
    given = layer(*arrays, padding_mask=IDS != 0)
    unmasked = layer(*arrays)
    assert np.abs(to_numpy(given) - to_numpy(unmasked)).max() > 1e-4
    with warnings.catch_warnings():
        # Keras warns if a layer drops a mask.
        warnings.simplefilter("error", UserWarning)
        carried = layer(masked, *arrays[1:])
    np.testing.assert_array_equal(to_numpy(carried), to_numpy(given))


@pytest.mark.parametrize(
    "name", [name for name in MASKED if not CASES[name].query_shape]
)
def test_a_compiled_model_carries_masks_through(name):
    embedding = keras.layers.Embedding(7, WIDTH, mask_zero=True)
    layer = CASES[name].layer()
    inputs = keras.Input((None,), dtype="int32")
    outputs = keras.layers.GlobalAveragePooling1D()(layer(embedding(inputs)))
    model = keras.Model(inputs, outputs)
    randomise(layer)
    steps = to_numpy(layer(to_numpy(embedding(IDS)), padding_mask=IDS != 0))
    wanted = [steps[0].mean(0), steps[1, :4].mean(0)]
    found = model.predict(IDS, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("name", MASKED)
def test_wrong_masks_are_refused(name):
    case = CASES[name]
    *arrays, _ = case.arrays()
    wrong = np.ones((BATCH, LENGTH, 1))
    with pytest.raises(ValueError, match=r"padding_mask.shape=\(2, 6, 1\)"):
        case.built()(*arrays, padding_mask=wrong)


@every_layer
def test_inputs_of_wrong_rank_or_width_are_refused(case):
    layer = case.built()
    arrays = case.arrays()
    narrow = [arrays[0][..., :6], *arrays[1:]]
    with pytest.raises(ValueError, match="expected axis -1 of input shape"):
        case.call(layer, narrow)
    flat = [arrays[0][0, 0], *arrays[1:]]
    with pytest.raises(ValueError, match=r"expected (min_)?ndim=\d"):
        case.call(layer, flat)
