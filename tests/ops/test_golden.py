"""The operators against the convolutions of fairseq."""

import keras
import numpy as np
import pytest

from keras_convbert import ops
from tests import golden


@pytest.mark.parametrize("name", golden.lightconv_cases("lightweight_conv"))
def test_lightweight_conv(name):
    facts, arrays = golden.load(name)
    padding = facts["constructor"]["padding"]
    outputs = ops.lightweight_conv1d(
        arrays["x"], arrays["kernel_normalized"], padding
    )
    found = keras.ops.convert_to_numpy(outputs) + arrays.get("bias", 0.0)
    np.testing.assert_allclose(
        found, arrays["y"], **facts["suggested_tolerance"]
    )


@pytest.mark.parametrize(
    "name", golden.lightconv_cases("lightweight_conv_even_kernel")
)
def test_an_even_kernel_is_padded_less_on_the_left(name):
    facts, arrays = golden.load(name)
    kernel = keras.ops.softmax(arrays["kernel"], axis=-1)
    outputs = ops.lightweight_conv1d(arrays["x"], kernel, "same")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(outputs),
        arrays["y_left1"],
        **facts["suggested_tolerance"],
    )


@pytest.mark.parametrize("name", golden.lightconv_cases("dynamic_conv"))
def test_dynamic_conv(name):
    facts, arrays = golden.load(name)
    kernels = arrays.get("kernels")
    if kernels is None:
        logits = np.einsum("hkc,btc->bthk", arrays["W"], arrays["x"])
        kernels = keras.ops.softmax(logits, axis=-1)
    padding = facts["constructor"]["padding"]
    outputs = ops.dynamic_conv1d(arrays["x"], kernels, padding)
    found = keras.ops.convert_to_numpy(outputs) + arrays.get("conv_bias", 0.0)
    np.testing.assert_allclose(
        found, arrays["y"], **facts["suggested_tolerance"]
    )
