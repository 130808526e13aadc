import keras
import numpy as np
import pytest

from keras_convbert import config
from keras_convbert import layers
from keras_convbert import ops
from keras_convbert.ops import depthwise_conv
from keras_convbert.ops.dynamic_conv import blocks
from keras_convbert.ops.dynamic_conv import dispatch
from tests.gradients import outputs_and_gradients
from tests.ops import loops

LENGTHS_AND_TAPS = [(7, 3), (1, 1), (3, 9), (5, 4), (2, 8), (6, 2)]
SIZES = [
    pytest.param(length, taps, padding, id=f"T{length}-K{taps}-{padding}")
    for length, taps in LENGTHS_AND_TAPS
    for padding in ("same", "causal")
]
# Several blocks, a kernel longer than the sequence, and an even kernel.
TELLING_SIZES = {(7, 3, "same"), (3, 9, "causal"), (5, 4, "same")}
SIZES_PER_IMPLEMENTATION = [
    size
    if size.values in TELLING_SIZES
    else pytest.param(*size.values, id=size.id, marks=pytest.mark.long)
    for size in SIZES
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
    """`config.set_implementation`, undone after the test."""
    yield config.set_implementation
    for op in config.IMPLEMENTATIONS:
        config.set_implementation(op, None)


DYNAMIC = config.IMPLEMENTATIONS["dynamic_conv1d"]


def skip_without(implementation):
    if implementation == "slices" and keras.backend.backend() != "torch":
        pytest.skip("only torch adds in place")


@pytest.mark.parametrize("implementation", DYNAMIC)
@pytest.mark.parametrize(
    ("length", "taps", "padding"), SIZES_PER_IMPLEMENTATION
)
def test_each_implementation_equals_a_loop(
    implementation, length, taps, padding, force, monkeypatch
):
    skip_without(implementation)
    # Short sequences then have several blocks, and the last is not full.
    monkeypatch.setattr(blocks, "BLOCK", max(taps, 3))
    force("dynamic_conv1d", implementation)
    test_outputs_and_gradients_equal_a_loop(
        "dynamic_conv1d", length, taps, padding
    )


@pytest.mark.parametrize("implementation", DYNAMIC[1:])
def test_each_implementation_equals_the_naive_one_on_long_sequences(
    implementation, force
):
    skip_without(implementation)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 150, 12)).astype("float32")
    kernels = rng.normal(size=(2, 150, 3, 9)).astype("float32")
    upstream = rng.normal(size=values.shape).astype("float32")

    def convolved(name):
        force("dynamic_conv1d", name)
        return outputs_and_gradients(
            ops.dynamic_conv1d, [values, kernels], upstream
        )

    outputs, gradients = convolved(implementation)
    wanted, wanted_gradients = convolved("naive")
    np.testing.assert_allclose(outputs, wanted, atol=5e-6)
    for found, right in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(found, right, atol=1e-5)


@pytest.mark.parametrize("op", config.IMPLEMENTATIONS)
def test_the_switch_holds_a_name_per_operator(op, force):
    assert config.implementation(op) is None
    force(op, "shifts")
    assert {
        name: config.implementation(name) for name in config.IMPLEMENTATIONS
    } == {**dict.fromkeys(config.IMPLEMENTATIONS), op: "shifts"}
    force(op, None)
    assert config.implementation(op) is None


@pytest.mark.parametrize("op", config.IMPLEMENTATIONS)
def test_an_unknown_implementation_is_refused(op, force):
    with pytest.raises(
        ValueError, match=rf"Expected one of .*`{op}`.*name='unfold'"
    ):
        force(op, "unfold")
    if keras.backend.backend() != "torch":
        with pytest.raises(ValueError, match="name='slices'"):
            force(op, "slices")


def test_an_unknown_operator_is_refused(force):
    message = "Expected one of .*'depthwise_conv1d'.*op='conv1d'"
    with pytest.raises(ValueError, match=message):
        force("conv1d", None)
    with pytest.raises(ValueError, match=message):
        config.implementation("conv1d")


def test_blocks_fall_back_to_shifts_where_they_do_not_fit(force):
    force("dynamic_conv1d", "blocks")
    for length, taps, form in [
        (4, 64, dispatch.blocks),
        (4, 65, dispatch.shifts),
        (None, 9, dispatch.shifts),
    ]:
        values = keras.KerasTensor((None, length, 3, 4))
        assert dispatch.formulation(values, taps) is form


def test_the_table_names_known_formulations():
    assert set(dispatch.FORMULATIONS) == set(DYNAMIC)
    for candidates in dispatch.FASTEST.values():
        assert set(candidates) <= set(DYNAMIC)
        assert candidates[-1] != "blocks"


def test_a_model_with_blocks_is_fitted_on_batches_of_several_lengths(force):
    force("dynamic_conv1d", "blocks")
    inputs = keras.Input((None, 4))
    outputs = layers.DynamicConv1D(3, num_heads=2)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", jit_compile=False)
    for length in (6, 9, 7):
        values = np.ones((2, length, 4), "float32")
        history = model.fit(values, values, verbose=0)
        assert np.isfinite(history.history["loss"][0])


def test_gradients_of_long_rows_on_a_gpu_use_blocks():
    if keras.backend.backend() != "torch":
        pytest.skip("a row of the table for torch")
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    def chosen(device, length, requires_grad, taps=9):
        with FakeTensorMode():
            values = torch.empty(
                (2, length, 3, 4), device=device, requires_grad=requires_grad
            )
        return dispatch.formulation(values, taps)

    assert chosen("cuda", 512, True) is dispatch.blocks
    for others in [
        ("cuda", 511, True),
        ("cuda", 512, False),
        ("cpu", 512, True),
        ("cuda", 512, True, 65),
    ]:
        assert chosen(*others) is dispatch.slices


@pytest.mark.parametrize(
    "implementation", config.IMPLEMENTATIONS["depthwise_conv1d"]
)
def test_each_depthwise_implementation_runs_on_each_backend(
    implementation, force, monkeypatch
):
    force("depthwise_conv1d", implementation)
    other = {"native": "_shifts_with_gradient", "shifts": "_native"}
    monkeypatch.setattr(depthwise_conv, other[implementation], None)
    test_outputs_and_gradients_equal_a_loop("depthwise_conv1d", 5, 4, "same")


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
def test_half_precision_is_kept_and_close(dtype):
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
    with pytest.raises(ValueError, match="padding='valid'"):
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
def test_kernels_of_another_batch_or_length_are_refused(rows):
    """With broadcasting the gradients would have the shape of the values."""
    with pytest.raises(ValueError, match=r"Received: .*\(2, 4, 2\)"):
        ops.dynamic_conv1d(
            np.ones((2, 4, 2), "float32"), np.ones((*rows, 1, 3), "float32")
        )


@pytest.mark.parametrize("name", kernel_shapes(1, 1))
def test_values_that_are_not_floats_are_refused(name):
    with pytest.raises(ValueError, match="dtype=int32"):
        getattr(ops, name)(
            np.ones((2, 4, 6), "int32"),
            np.ones(kernel_shapes(4, 3)[name], "float32"),
        )


@pytest.mark.parametrize("name", kernel_shapes(1, 1))
def test_a_kernel_without_taps_is_refused(name):
    with pytest.raises(ValueError, match=r"one tap. Received: kernel_size=0"):
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
