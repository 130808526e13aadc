import numpy as np
from keras import ops

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
