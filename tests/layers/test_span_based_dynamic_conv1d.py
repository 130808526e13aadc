import keras
import numpy as np
import pytest

from keras_convbert.layers import SpanBasedDynamicConv1D
from tests.layers import formulas
from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import to_numpy

B, T, D, H, R = 2, 7, 10, 2, 3


def built(kernel_size=3, **options):
    layer = SpanBasedDynamicConv1D(
        H, R, kernel_size, kernel_initializer="zeros", **options
    )
    layer.build((B, T, D), (B, T, H, R))
    return layer


def arrays(length=T):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(B, length, D)).astype("float32")
    query = rng.normal(size=(B, length, H, R)).astype("float32")
    mask = np.arange(length) < np.array([[length], [length - 3]])
    return inputs, query, mask


@pytest.mark.parametrize("kernel_size", [3, 5, 9])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_formula(kernel_size, masked):
    layer = built(kernel_size)
    randomise(layer)
    inputs, query, mask = arrays()
    mask = mask if masked else None
    outputs, kernels = layer(
        inputs, query, padding_mask=mask, return_kernels=True
    )
    wanted, wanted_kernels = formulas.span_conv(
        formulas.weights_of(layer), inputs, query, mask
    )
    np.testing.assert_allclose(to_numpy(outputs), wanted, atol=2e-6)
    np.testing.assert_allclose(to_numpy(kernels), wanted_kernels, atol=2e-6)
    np.testing.assert_allclose(to_numpy(kernels).sum(-1), 1.0, atol=1e-6)


def test_padding_changes_no_valid_position():
    layer = built()
    randomise(layer)
    inputs, query, mask = arrays()
    valid = slice(0, T - 3)
    longer = to_numpy(layer(inputs, query, padding_mask=mask))[1, valid]
    alone = to_numpy(layer(inputs[1:, valid], query[1:, valid]))[0]
    np.testing.assert_allclose(longer, alone, atol=5e-6)
    leaking = to_numpy(layer(inputs, query))[1, valid]
    assert np.abs(leaking - alone).max() > 1e-2


def test_symbolic_kernels():
    inputs, query = keras.Input((None, D)), keras.Input((None, H, R))
    outputs, kernels = built()(inputs, query, return_kernels=True)
    assert outputs.shape == (None, None, H, R)
    assert kernels.shape == (None, None, H, 3)


def test_shapes_and_the_authors_initializers():
    layer = SpanBasedDynamicConv1D(4, 32, kernel_size=9)
    layer.build((None, None, 600), (None, None, 4, 32))
    shapes = {
        name: array.shape for name, array in formulas.weights_of(layer).items()
    }
    assert shapes == {
        "depthwise_kernel": (9, 600),
        "span_key/kernel": (600, 4, 32),
        "span_key/bias": (4, 32),
        "kernel_generator/kernel": (4, 32, 4, 9),
        "kernel_generator/bias": (4, 9),
        "value/kernel": (600, 4, 32),
        "value/bias": (4, 32),
    }
    for name, array in formulas.weights_of(layer).items():
        if name.endswith("bias"):
            assert not array.any()
            continue
        wanted = 1 / 9 if name == "depthwise_kernel" else 0.02
        # A normal cut off at two standard deviations keeps 0.88 of its own.
        np.testing.assert_allclose(
            array.std(),
            wanted * 0.8796,
            rtol=0.03,  # 4,608 draws and more: three standard errors
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 0}, "`num_heads`.*Received: num_heads=0"),
        ({"head_dim": 2.5}, "`head_dim`.*Received: head_dim=2.5"),
        ({"kernel_size": 4}, "odd integer. Received: kernel_size=4"),
        ({"kernel_size": 0}, "positive integer. Received: kernel_size=0"),
    ],
    ids=str,
)
def test_wrong_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SpanBasedDynamicConv1D(**{"num_heads": 2, "head_dim": 4, **options})


def test_a_query_of_other_heads_is_refused():
    layer = SpanBasedDynamicConv1D(H, R)
    with pytest.raises(ValueError, match=r"Received: query.shape=\(2, 7, 3, 2"):
        layer.build((B, T, D), (B, T, 3, 2))
