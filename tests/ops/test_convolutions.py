import keras
import numpy as np
import pytest

from keras_convbert import config
from keras_convbert import layers
from keras_convbert import ops
from keras_convbert.ops import depthwise_conv
from keras_convbert.ops import dynamic_conv
from keras_convbert.ops import dynamic_conv_blocks
from tests.gradients import outputs_and_gradients
from tests.ops import loops

SIZES = [
    pytest.param(length, taps, padding, id=f"T{length}-K{taps}-{padding}")
    for length, taps in [(7, 3), (1, 1), (3, 9), (5, 4), (2, 8), (6, 2)]
    for padding in ("same", "causal")
]


def kernel_shapes(length, taps):
    return {
        "dynamic_conv1d": (2, length, 3, taps),
        "lightweight_conv1d": (3, taps),
        "depthwise_conv1d": (taps, 6),
    }


@pytest.mark.parametrize("name", kernel_shapes(1, 1))
@pytest.mark.parametrize(("length", "taps", "padding"), SIZES)
def test_outputs_and_gradients_equal_a_loop(name, length, taps, padding):
    rng = np.random.default_rng(length * taps)
    values = rng.normal(size=(2, length, 6)).astype("float32")
    kernel = rng.normal(size=kernel_shapes(length, taps)[name])
    kernel = kernel.astype("float32")
    upstream = rng.normal(size=values.shape).astype("float32")

    outputs, gradients = outputs_and_gradients(
        lambda v, k: getattr(ops, name)(v, k, padding),
        [values, kernel],
        upstream,
    )

    wanted, wanted_gradients = getattr(loops, name)(
        values, kernel, padding, upstream
    )
    np.testing.assert_allclose(outputs, wanted, atol=2e-6)
    for found, right in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(found, right, atol=5e-6)


@pytest.fixture
def force():
    yield config.set_dynamic_conv_implementation
    config.set_dynamic_conv_implementation(None)


def skip_where_it_is_not(implementation):
    if implementation == "slices" and keras.backend.backend() != "torch":
        pytest.skip("torch alone adds in place")


@pytest.mark.parametrize("implementation", config.IMPLEMENTATIONS)
@pytest.mark.parametrize(("length", "taps", "padding"), SIZES)
def test_each_implementation_equals_a_loop(
    implementation, length, taps, padding, force, monkeypatch
):
    skip_where_it_is_not(implementation)
    # So that short sequences have several blocks, the last not full.
    monkeypatch.setattr(dynamic_conv_blocks, "BLOCK", max(taps, 3))
    force(implementation)
    test_outputs_and_gradients_equal_a_loop(
        "dynamic_conv1d", length, taps, padding
    )


@pytest.mark.parametrize("implementation", config.IMPLEMENTATIONS)
def test_each_implementation_is_the_simple_one_on_long_sequences(
    implementation, force
):
    skip_where_it_is_not(implementation)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 150, 12)).astype("float32")
    kernels = rng.normal(size=(2, 150, 3, 9)).astype("float32")
    upstream = rng.normal(size=values.shape).astype("float32")

    def convolved(name):
        force(name)
        return outputs_and_gradients(
            ops.dynamic_conv1d, [values, kernels], upstream
        )

    outputs, gradients = convolved(implementation)
    wanted, wanted_gradients = convolved("simple")
    np.testing.assert_allclose(outputs, wanted, atol=5e-6)
    for found, right in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-5)


def test_an_implementation_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="name='unfold'"):
        config.set_dynamic_conv_implementation("unfold")
    if keras.backend.backend() != "torch":
        with pytest.raises(ValueError, match="name='slices'"):
            config.set_dynamic_conv_implementation("slices")


def test_blocks_are_shifts_where_they_do_not_fit(force):
    force("blocks")
    for length, taps, form in [
        (4, 64, dynamic_conv.blocks),
        (4, 65, dynamic_conv.shifts),
        (None, 9, dynamic_conv.shifts),
    ]:
        values = keras.KerasTensor((None, length, 3, 4))
        assert dynamic_conv._formulation(values, taps) is form


def test_a_model_with_blocks_is_fitted_on_batches_of_several_lengths(force):
    force("blocks")
    inputs = keras.Input((None, 4))
    outputs = layers.DynamicConv1D(3, num_heads=2)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", jit_compile=False)
    for length in (6, 9, 7):
        values = np.ones((2, length, 4), "float32")
        history = model.fit(values, values, verbose=0)
        assert np.isfinite(history.history["loss"][0])


def test_a_learner_of_long_rows_on_a_gpu_has_blocks():
    if keras.backend.backend() != "torch":
        pytest.skip("a row of torch's")
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    def chosen(device, length, learns):
        with FakeTensorMode():
            values = torch.empty(
                (2, length, 3, 4), device=device, requires_grad=learns
            )
        return dynamic_conv._formulation(values, 9)

    assert chosen("cuda", 512, True) is dynamic_conv.blocks
    for others in [
        ("cuda", 511, True),
        ("cuda", 512, False),
        ("cpu", 512, True),
    ]:
        assert chosen(*others) is dynamic_conv.slices


@pytest.fixture
def force_depthwise():
    yield config.set_depthwise_conv_implementation
    config.set_depthwise_conv_implementation(None)


@pytest.mark.parametrize("implementation", config.DEPTHWISE_IMPLEMENTATIONS)
def test_each_depthwise_implementation_serves_on_each_backend(
    implementation, force_depthwise, monkeypatch
):
    force_depthwise(implementation)
    assert config.depthwise_conv_implementation() == implementation
    other = {"native": "_shifts_with_gradient", "shifts": "_native"}
    monkeypatch.setattr(depthwise_conv, other[implementation], None)
    test_outputs_and_gradients_equal_a_loop("depthwise_conv1d", 5, 4, "same")


def test_a_depthwise_implementation_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="name='unfold'"):
        config.set_depthwise_conv_implementation("unfold")


@pytest.mark.parametrize(
    ("padding", "wanted"),
    [
        ("causal", [0.5, 4 / 3, 7 / 3, 10 / 3, 13 / 3]),
        ("same", [4 / 3, 7 / 3, 10 / 3, 13 / 3, 7 / 3]),
    ],
)
def test_hand_worked_example(padding, wanted):
    values = np.arange(1.0, 6.0, dtype="float32").reshape(1, 5, 1)
    kernel = np.float32([[1 / 6, 1 / 3, 1 / 2]])
    kernels = np.tile(kernel, (1, 5, 1, 1))
    for outputs in (
        ops.lightweight_conv1d(values, kernel, padding),
        ops.dynamic_conv1d(values, kernels, padding),
    ):
        found = keras.ops.convert_to_numpy(outputs)[0, :, 0]
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_half_and_near(dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1, 6, 4)).astype("float32")
    kernels = rng.uniform(size=(1, 6, 2, 3)).astype("float32")
    outputs = ops.dynamic_conv1d(
        keras.ops.cast(values, dtype), keras.ops.cast(kernels, dtype)
    )
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype
    wanted = loops.dynamic_conv1d(values, kernels, "same", values)[0]
    found = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    np.testing.assert_allclose(
        found,
        wanted,
        atol=0.06,  # 8 bits of mantissa, three products of about one
    )


def test_unknown_padding_is_refused():
    values = np.ones((1, 4, 2), "float32")
    with pytest.raises(ValueError, match="padding=valid"):
        ops.dynamic_conv1d(values, np.ones((1, 4, 1, 3), "float32"), "valid")


def test_heads_that_do_not_divide_the_channels_are_refused():
    values = np.ones((1, 4, 2), "float32")
    with pytest.raises(ValueError, match="heads=3, channels=2"):
        ops.dynamic_conv1d(values, np.ones((1, 4, 3, 3), "float32"))
    with pytest.raises(ValueError, match="heads=3, channels=2"):
        ops.lightweight_conv1d(values, np.ones((3, 3), "float32"))
    with pytest.raises(ValueError, match="heads=0, channels=2"):
        ops.dynamic_conv1d(values, np.ones((1, 4, 0, 3), "float32"))


@pytest.mark.parametrize("rows", [(1, 4), (2, 1), (2, 5)])
def test_kernels_of_other_rows_are_refused(rows):
    """Broadcast, their gradients would have the shape of the values."""
    with pytest.raises(ValueError, match=r"Received: .*\(2, 4, 2\)"):
        ops.dynamic_conv1d(
            np.ones((2, 4, 2), "float32"), np.ones((*rows, 1, 3), "float32")
        )


@pytest.mark.parametrize("name", kernel_shapes(1, 1))
def test_values_that_are_no_floats_are_refused(name):
    with pytest.raises(ValueError, match="dtype=int32"):
        getattr(ops, name)(
            np.ones((2, 4, 6), "int32"),
            np.ones(kernel_shapes(4, 3)[name], "float32"),
        )


@pytest.mark.parametrize("name", kernel_shapes(1, 1))
def test_a_kernel_of_no_taps_is_refused(name):
    with pytest.raises(ValueError, match=r"at least one tap. Received: 0"):
        getattr(ops, name)(
            np.ones((2, 4, 6), "float32"),
            np.ones(kernel_shapes(4, 0)[name], "float32"),
        )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("dynamic_conv1d", (3, 3)),
        ("lightweight_conv1d", (1, 4, 1, 3)),
        ("depthwise_conv1d", (3, 5)),
    ],
)
def test_wrong_shapes_are_named(name, wrong):
    with pytest.raises(ValueError, match=r"Received: .*\(1, 4, 2\)"):
        getattr(ops, name)(
            np.ones((1, 4, 2), "float32"), np.ones(wrong, "float32")
        )
