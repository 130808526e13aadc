import keras
import numpy as np
import pytest
from keras import ops

from keras_convbert.ops.feed_forward import feed_forward
from keras_convbert.ops.feed_forward import parts_of_feed_forward


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_parts_add_up_to_the_formula(parts):
    rng = np.random.default_rng(0)
    x, w, b, v, c = (
        rng.standard_normal(shape).astype("float32")
        for shape in [(2, 5, 6), (6, 8), (8,), (8, 3), (3,)]
    )
    outputs = feed_forward(
        ops.convert_to_tensor(x),
        (ops.convert_to_tensor(w), ops.convert_to_tensor(b)),
        keras.activations.relu,
        (ops.convert_to_tensor(v), ops.convert_to_tensor(c)),
        parts,
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(outputs),
        np.maximum(x @ w + b, 0) @ v + c,
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("hidden", "dtype", "activation"),
    [
        (8, "float32", keras.activations.softmax),
        (8, "bfloat16", keras.activations.gelu),
        (6, "float32", keras.activations.gelu),
    ],
)
def test_what_cannot_be_cut_is_computed_whole(hidden, dtype, activation):
    assert parts_of_feed_forward(hidden, dtype, activation) == 1


def test_tensorflow_alone_takes_parts_on_a_cpu():
    parts = parts_of_feed_forward(8, "float32", keras.activations.gelu)
    assert parts == (4 if keras.backend.backend() == "tensorflow" else 1)
