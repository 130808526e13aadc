import keras
import numpy as np
import pytest

from keras_convbert.layers import LightweightConv1D
from tests import golden
from tests.layers.lifecycle import to_numpy
from tests.layers.weight_gradients import outputs_and_gradients
from tests.ops import loops


def from_golden(facts, arrays):
    made = facts["constructor"]
    layer = LightweightConv1D(
        made["kernel_size"],
        made["num_heads"],
        padding=made["padding"] if made["padding"] != "explicit" else "same",
        weight_softmax=made["weight_softmax"],
        use_bias=made["bias"],
        kernel_initializer="zeros",
    )
    layer.build(arrays["x"].shape)
    layer.set_weights(
        [arrays[name] for name in ("kernel", "bias") if name in arrays]
    )
    return layer


@pytest.mark.parametrize("name", golden.lightconv_cases("lightweight_conv"))
def test_golden_outputs_and_kernels(name):
    facts, arrays = golden.load(name)
    layer = from_golden(facts, arrays)
    outputs, kernels = layer(arrays["x"], return_kernels=True)
    near = facts["suggested_tolerance"]
    np.testing.assert_allclose(to_numpy(outputs), arrays["y"], **near)
    np.testing.assert_allclose(
        to_numpy(kernels), arrays["kernel_normalized"], **near
    )


@pytest.mark.parametrize(
    "name", golden.lightconv_cases("lightweight_conv_even_kernel")
)
def test_golden_even_kernel(name):
    facts, arrays = golden.load(name)
    outputs = from_golden(facts, arrays)(arrays["x"])
    np.testing.assert_allclose(
        to_numpy(outputs), arrays["y_left1"], **facts["suggested_tolerance"]
    )


@pytest.mark.parametrize(
    "name", golden.lightconv_cases("lightweight_conv_grad")
)
def test_golden_gradients(name):
    facts, arrays = golden.load(name)
    layer = from_golden(facts, arrays)
    outputs, gradients = outputs_and_gradients(layer, arrays["x"], arrays["g"])
    near = facts["suggested_tolerance"]
    np.testing.assert_allclose(outputs, arrays["y"], **near)
    for path, wanted in {
        "inputs": "d_x",
        "kernel": "d_kernel",
        "bias": "d_bias",
    }.items():
        np.testing.assert_allclose(gradients[path], arrays[wanted], **near)


def built(padding="same", **options):
    options = {"kernel_size": 3, "num_heads": 2, **options}
    layer = LightweightConv1D(padding=padding, **options)
    layer.build((2, 6, 4))
    return layer


def inputs_of():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 6, 4)).astype("float32")


def test_masked_positions_are_zeroed():
    layer = built()
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    outputs, kernels = layer(
        inputs_of(), padding_mask=mask, return_kernels=True
    )
    zeroed = inputs_of() * mask[..., None]
    wanted = loops.lightweight_conv1d(
        zeroed, to_numpy(kernels), "same", inputs_of()
    )[0]
    np.testing.assert_allclose(to_numpy(outputs), wanted, atol=2e-6)
    alone = to_numpy(layer(inputs_of()[1:, :3]))[0]
    np.testing.assert_allclose(to_numpy(outputs)[1, :3], alone, atol=5e-6)


def test_a_causal_layer_sees_no_future():
    layer = built("causal")
    changed = inputs_of()
    changed[:, 4:] += 1.0
    before, after = to_numpy(layer(inputs_of())), to_numpy(layer(changed))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert np.abs(before[:, 4:] - after[:, 4:]).min() > 0


def test_drop_connect_draws_one_mask_per_call():
    layer = built(weight_dropout=0.5, kernel_size=9, num_heads=4, seed=1)
    ones = np.ones((2, 12, 4), dtype="float32")
    outputs, kernels = layer(ones, training=True, return_kernels=True)
    np.testing.assert_allclose(to_numpy(kernels).sum(-1), 1.0, atol=1e-6)
    whole = to_numpy(outputs)[:, 4:8]  # where all taps are inside
    np.testing.assert_allclose(whole, np.broadcast_to(whole[:1, :1], (2, 4, 4)))
    assert len(np.unique(whole[0, 0])) > 1  # heads lose different taps
    assert np.abs(whole - 1.0).max() > 1e-3
    np.testing.assert_allclose(to_numpy(layer(ones))[:, 4:8], 1.0, atol=1e-6)


def test_symbolic_kernels():
    outputs, kernels = LightweightConv1D(3, 2)(
        keras.Input((None, 4)), return_kernels=True
    )
    assert outputs.shape == (None, None, 4)
    assert kernels.shape == (2, 3)


def test_the_softmax_is_of_float32_under_mixed_precision():
    layer = built(dtype="mixed_bfloat16", num_heads=1)
    # Rounded to bfloat16, 7.01 and 7.0 are equal.
    layer.set_weights([np.float32([[7.01, 7.0, 7.0]])])
    _, kernels = layer(inputs_of(), return_kernels=True)
    wanted = np.exp([0.01, 0, 0]) / np.exp([0.01, 0, 0]).sum()
    assert to_numpy(kernels)[0, 0] > to_numpy(kernels)[0, 1]
    np.testing.assert_allclose(
        to_numpy(kernels)[0],
        wanted,
        rtol=4e-3,  # the result is rounded to bfloat16: 8 bits of mantissa
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "`kernel_size`.*Received: kernel_size=0"),
        ({"num_heads": 1.5}, "`num_heads`.*Received: num_heads=1.5"),
        (
            {"padding": "valid"},
            '"same" or "causal". Received: padding=\'valid\'',
        ),
        ({"weight_dropout": 1}, "less than 1. Received: weight_dropout=1"),
        ({"num_heads": 3}, r"input_shape=\(2, 6, 4\), num_heads=3"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        built(**options)
