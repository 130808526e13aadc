import gc
import weakref

import keras
import numpy as np
import pytest

from keras_convbert.ops.custom_gradient import with_gradient
from tests.gradients import outputs_and_gradients


def test_the_gradient_is_the_one_that_is_given():
    """The test gives a gradient that differs from the one of the function."""
    product = with_gradient(
        lambda x, y: x * y, lambda upstream, x, y: (2.0 * upstream, x + y)
    )
    x, y, upstream = np.float32([[1, 2], [3, 4], [5, 6]])
    outputs, gradients = outputs_and_gradients(product, [x, y], upstream)
    np.testing.assert_array_equal(outputs, x * y)
    np.testing.assert_array_equal(gradients[0], 2 * upstream)
    np.testing.assert_array_equal(gradients[1], x + y)


def test_a_checkpoint_frees_the_inputs():
    if keras.backend.backend() != "torch":
        pytest.skip("only the torch graph consists of Python objects")
    import torch

    product = with_gradient(
        lambda x, y: x * y, lambda upstream, x, y: (upstream * y, upstream * x)
    )
    inner = []

    def block(x):
        doubled = x * 2.0
        inner.append(weakref.ref(doubled))
        return product(doubled, doubled + 1.0)

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    outputs = keras.remat(block)(x)
    gc.collect()
    assert inner[0]() is None
    outputs.sum().backward()
    # d/dx of 2x (2x + 1).
    np.testing.assert_allclose(x.grad.numpy(), [10.0, 18.0])


@pytest.mark.one_backend("tensorflow")
def test_a_graph_with_a_custom_gradient_is_freed():
    import tensorflow as tf

    product = with_gradient(
        lambda x, y: x * y, lambda upstream, x, y: (upstream * y, upstream * x)
    )

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.while_loop(
                lambda i, y: i < 3,
                lambda i, y: (i + 1, product(y, x)),
                (0, product(x, x)),
            )[1]
        return tape.gradient(y, x)

    traced = gradient.get_concrete_function(tf.TensorSpec((2,)))
    x = np.float32([1, 2])
    np.testing.assert_array_equal(traced(tf.constant(x)), 5 * x**4)
    graph = weakref.ref(traced.graph)
    del gradient, traced
    gc.collect()
    assert graph() is None
