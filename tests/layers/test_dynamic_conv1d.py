import keras
import numpy as np
import pytest

from keras_convbert.layers import DynamicConv1D
from tests import golden
from tests.layers import formulas
from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import to_numpy
from tests.layers.weight_gradients import outputs_and_gradients


def from_golden(facts, arrays):
    made = facts["constructor"]
    layer = DynamicConv1D(
        made["kernel_size"],
        made["num_heads"],
        padding=made["padding"],
        weight_softmax=made["weight_softmax"],
        use_bias=made["bias"],
        use_conv_bias=made["conv_bias"],
        kernel_initializer="zeros",
    )
    layer.build(arrays["x"].shape)
    layer.kernel.assign(as_kernel(arrays["W"]))
    if made["bias"]:
        layer.bias.assign(arrays["b"].reshape(-1))
    if made["conv_bias"]:
        layer.conv_bias.assign(arrays["conv_bias"])
    return layer


def as_kernel(array):
    """Reshapes `(H, K, D)` to a kernel `(D, H * K)`."""
    return array.reshape(-1, array.shape[-1]).T


@pytest.mark.parametrize("name", golden.lightconv_cases("dynamic_conv"))
def test_golden_outputs_and_kernels(name):
    facts, arrays = golden.load(name)
    layer = from_golden(facts, arrays)
    outputs, kernels = layer(arrays["x"], return_kernels=True)
    near = facts["suggested_tolerance"]
    np.testing.assert_allclose(to_numpy(outputs), arrays["y"], **near)
    if "kernels" in arrays:
        np.testing.assert_allclose(to_numpy(kernels), arrays["kernels"], **near)


@pytest.mark.parametrize("name", golden.lightconv_cases("dynamic_conv_grad"))
def test_golden_gradients(name):
    facts, arrays = golden.load(name)
    layer = from_golden(facts, arrays)
    outputs, gradients = outputs_and_gradients(layer, arrays["x"], arrays["g"])
    near = facts["suggested_tolerance"]
    np.testing.assert_allclose(outputs, arrays["y"], **near)
    np.testing.assert_allclose(gradients["inputs"], arrays["d_x"], **near)
    np.testing.assert_allclose(
        gradients["kernel_predictor/kernel"], as_kernel(arrays["d_W"]), **near
    )
    if "d_conv_bias" in arrays:
        np.testing.assert_allclose(
            gradients["conv_bias"], arrays["d_conv_bias"], **near
        )


def built(**options):
    options = {"kernel_size": 3, "num_heads": 2, **options}
    layer = DynamicConv1D(**options)
    layer.build((2, 6, 4))
    randomise(layer)
    return layer


def inputs_of():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 6, 4)).astype("float32")


def test_masked_positions_are_zeroed():
    layer = built(use_bias=True)
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    outputs = layer(inputs_of(), padding_mask=mask)
    zeroed = inputs_of() * mask[..., None]
    weights = formulas.weights_of(layer.kernel_predictor)
    logits = formulas.dense(zeroed, **weights).reshape(2, 6, 2, 3)
    wanted = formulas.dynamic_conv(zeroed, formulas.softmax(logits))
    np.testing.assert_allclose(to_numpy(outputs), wanted, atol=2e-6)
    alone = to_numpy(layer(inputs_of()[1:, :3]))[0]
    np.testing.assert_allclose(to_numpy(outputs)[1, :3], alone, atol=5e-6)


def test_a_causal_layer_sees_no_future():
    layer = built(padding="causal")
    changed = inputs_of()
    changed[:, 4:] += 1.0
    before, after = to_numpy(layer(inputs_of())), to_numpy(layer(changed))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert np.abs(before[:, 4:] - after[:, 4:]).min() > 0


def test_drop_connect_draws_for_every_position():
    layer = built(weight_dropout=0.5, seed=1)
    ones = np.ones((2, 6, 4), dtype="float32")
    outputs, kernels = layer(ones, training=True, return_kernels=True)
    np.testing.assert_allclose(to_numpy(kernels).sum(-1), 1.0, atol=1e-6)
    inner = to_numpy(outputs)[:, 1:-1]  # where all taps are inside
    assert len(np.unique(inner.round(5))) > 3
    np.testing.assert_allclose(to_numpy(layer(ones))[:, 1:-1], 1.0, atol=1e-6)


def test_symbolic_kernels():
    outputs, kernels = DynamicConv1D(3, 2)(
        keras.Input((None, 4)), return_kernels=True
    )
    assert outputs.shape == (None, None, 4)
    assert kernels.shape == (None, None, 2, 3)


def test_shapes_of_weights():
    layer = built(use_bias=True, use_conv_bias=True)
    assert layer.kernel.shape == (4, 6)
    assert layer.bias.shape == (6,)
    assert layer.conv_bias.shape == (4,)
    assert built().bias is None
    assert built().conv_bias is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": "3"}, "`kernel_size`.*Received: kernel_size='3'"),
        ({"num_heads": 0}, "`num_heads`.*Received: num_heads=0"),
        (
            {"padding": "valid"},
            '"same" or "causal". Received: padding=\'valid\'',
        ),
        ({"weight_dropout": -1}, "at least 0.*Received: weight_dropout=-1"),
        ({"num_heads": 3}, r"input_shape=\(2, 6, 4\), num_heads=3"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        built(**options)
