import keras
import numpy as np
import pytest
from keras import ops

from keras_convbert.ops.sequential import sequential_map
from keras_convbert.ops.sequential import sequential_sum


def test_terms_and_their_sum():
    terms = ops.convert_to_tensor(np.arange(8, dtype="float32").reshape(4, 2))
    listed = sequential_map(lambda k: terms[k], 4)
    np.testing.assert_array_equal(
        [ops.convert_to_numpy(term) for term in listed],
        ops.convert_to_numpy(terms),
    )
    total = sequential_sum(lambda k: terms[k], 4)
    np.testing.assert_array_equal(ops.convert_to_numpy(total), [12, 16])


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow graphs"
)
@pytest.mark.parametrize("sequential", [sequential_sum, sequential_map])
def test_a_term_waits_for_the_previous_one(sequential):
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        x = tf.zeros((2, 3))
        sequential(lambda k: tf.exp(x, name=f"term_{k}"), 3)
    waits = [
        bool(graph.get_operation_by_name(f"term_{k}").control_inputs)
        for k in range(3)
    ]
    assert waits == [False, True, True]
