import keras
import numpy as np
import pytest
from keras import ops

from keras_convbert.ops import dense as module
from keras_convbert.ops.dense import dense


def test_one_axis_of_features():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 6)).astype("float32")
    kernel = rng.standard_normal((6, 3, 4)).astype("float32")
    bias = rng.standard_normal((3, 4)).astype("float32")
    outputs = dense(*map(ops.convert_to_tensor, (x, kernel, bias)))
    np.testing.assert_allclose(
        ops.convert_to_numpy(outputs),
        np.einsum("btc,cnd->btnd", x, kernel) + bias,
        rtol=1e-5,
        atol=1e-5,
    )


def test_two_axes_of_features():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 5, 3, 4)).astype("float32")
    kernel = rng.standard_normal((3, 4, 6)).astype("float32")
    bias = rng.standard_normal(6).astype("float32")
    outputs = dense(*map(ops.convert_to_tensor, (x, kernel, bias)), axes=2)
    np.testing.assert_allclose(
        ops.convert_to_numpy(outputs),
        np.einsum("btnd,ndo->bto", x, kernel) + bias,
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("slow", [True, False], ids=["slow", "fast"])
def test_half_precision(slow, monkeypatch):
    monkeypatch.setattr(module, "_HALF_IS_SLOW", slow)
    rng = np.random.default_rng(2)
    x, kernel, bias = (
        ops.cast(rng.standard_normal(shape), "bfloat16")
        for shape in ((2, 5, 6), (6, 4), (4,))
    )
    outputs = dense(x, kernel, bias)
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    x, kernel, bias = (
        ops.convert_to_numpy(ops.cast(t, "float32")) for t in (x, kernel, bias)
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(ops.cast(outputs, "float32")),
        x @ kernel + bias,
        rtol=2e-2,
        atol=2e-2,
    )
