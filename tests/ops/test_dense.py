import keras
import numpy as np
import pytest
from keras import ops

from keras_convbert.ops import dense as module
from keras_convbert.ops.dense import dense
from tests.gradients import outputs_and_gradients


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
    x, kernel, bias, upstream = (
        _rounded(rng.standard_normal(shape))
        for shape in ((2, 5, 6), (6, 4), (4,), (2, 5, 4))
    )

    def in_half(*tensors):
        outputs = dense(*(ops.cast(t, "bfloat16") for t in tensors))
        assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
        return ops.cast(outputs, "float32")

    outputs, gradients = outputs_and_gradients(
        in_half, (x, kernel, bias), upstream
    )
    wanted = (
        x @ kernel + bias,
        upstream @ kernel.T,
        np.einsum("btc,btd->cd", x, upstream),
        upstream.sum((0, 1)),
    )
    for found, value in zip((outputs, *gradients), wanted, strict=True):
        np.testing.assert_allclose(
            found,
            value,
            rtol=2e-2,  # bfloat16 has 8 bits of mantissa
            atol=4e-2,  # and sums of up to 10 products near zero cancel
        )


def _rounded(array):
    """Rounds to bfloat16, returns float32."""
    half = ops.cast(ops.convert_to_tensor(array), "bfloat16")
    return ops.convert_to_numpy(ops.cast(half, "float32"))
