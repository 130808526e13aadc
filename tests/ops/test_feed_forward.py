import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_convbert.ops.feed_forward import activate
from keras_convbert.ops.feed_forward import feed_forward
from keras_convbert.ops.feed_forward import num_partitions
from tests.gradients import outputs_and_gradients


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_partitions_sum_to_the_formula(parts):
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
def test_one_partition_where_no_split_is_possible(hidden, dtype, activation):
    assert num_partitions(hidden, dtype, activation) == 1


def test_only_tensorflow_uses_partitions_on_a_cpu():
    parts = num_partitions(8, "float32", keras.activations.gelu)
    assert parts == (4 if keras.backend.backend() == "tensorflow" else 1)


def test_activate_gives_the_function_and_its_gradient():
    x = np.linspace(-3, 3, 13, dtype="float32")
    upstream = np.linspace(1, 2, 13, dtype="float32")
    outputs, [gradient] = outputs_and_gradients(
        lambda inputs: activate(keras.activations.gelu, inputs), [x], upstream
    )
    below = np.array([(1 + math.erf(v / math.sqrt(2))) / 2 for v in x])
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(outputs, x * below, rtol=1e-5, atol=1e-6)
    expected = upstream * (below + x * density)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_jax_keeps_only_the_inputs_of_the_activation():
    if keras.backend.backend() != "jax":
        pytest.skip("other backends call the activation itself")
    import jax

    def temporaries(apply):
        def loss(inputs):
            # A product keeps XLA from joining both passes into one loop.
            return ops.sum(ops.square(apply(inputs @ inputs) @ inputs))

        compiled = jax.jit(jax.grad(loss)).lower(np.ones((512, 512), "float32"))
        return compiled.compile().memory_analysis().temp_size_in_bytes

    gelu = keras.activations.gelu
    kept = temporaries(lambda inputs: activate(gelu, inputs))
    assert kept <= temporaries(gelu) - 512 * 512 * 4


def test_an_activation_with_state_is_called_as_it_is():
    layer = keras.layers.PReLU(alpha_initializer="ones")
    x = np.float32([[-1.0, 2.0]])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(activate(layer, ops.convert_to_tensor(x))), x
    )
