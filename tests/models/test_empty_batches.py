"""Layers, backbones and tasks on batches without rows or positions.

`tests/test_onednn.py` runs these tests with and without oneDNN.
"""

import keras
import numpy as np
import pytest

from keras_convbert import layers
from keras_convbert.models import ConvBertTextEmbedder
from tests.layers.lifecycle import CASES
from tests.layers.lifecycle import randomise
from tests.models.test_graphs import backbone
from tests.models.test_graphs import graphs

EMPTY = [(0, 7), (3, 0), (0, 0)]
# Sizes that no axis but the batch and the length has.
ROWS, LENGTH = 5, 7
CHOICES = 3
BACKEND = keras.backend.backend()


def model_of(case):
    model = case.model()
    randomise(model.get_layer("tested"))
    return model


# The tasks whose layers no other task has, or not all of them.
OWN_LAYERS = {
    "multiple_choice",
    "pretrainer-True",
    "question_answerer-joint",
    "text_embedder-max",
}


def models():
    """Functions that make a model of each layer, backbone and task."""
    for name, case in CASES.items():
        yield pytest.param(lambda case=case: model_of(case), id=name)
    for graph in graphs():
        # PyTorch is the fastest here.
        wanted = BACKEND == "torch" or graph.id in OWN_LAYERS
        marks = [] if wanted else [pytest.mark.long]
        yield pytest.param(*graph.values, id=graph.id, marks=marks)


def traced():
    for model in models():
        marks = [] if model.id in CASES else [pytest.mark.long]
        yield pytest.param(*model.values, id=model.id, marks=marks)


def arrays(model, rows, length):
    def array(tensor):
        _, *sizes = tensor.shape
        if sizes == [None, None]:
            sizes[0] = CHOICES
        sizes = [length if size is None else size for size in sizes]
        return np.zeros((rows, *sizes), tensor.dtype)

    return keras.tree.map_structure(array, model.input)


def is_float(tensor):
    return keras.backend.is_float_dtype(tensor.dtype)


def floats(tensors):
    return [*filter(is_float, keras.tree.flatten(tensors))]


def total(outputs):
    return sum(
        keras.ops.sum(keras.ops.cast(output, "float32"))
        for output in floats(outputs)
    )


def tensorflow_step(model, inputs):
    import tensorflow as tf

    weights = [weight.value for weight in model.trainable_weights]
    inputs = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    watched = floats(inputs)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        outputs = model(inputs, training=True)
        loss = total(outputs)
    gradients = tape.gradient(
        loss, weights + watched, unconnected_gradients="zero"
    )
    return outputs, [*map(tf.convert_to_tensor, gradients)]


def tensorflow_graph(model):
    import tensorflow as tf

    signature = keras.tree.map_structure(
        lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), model.input
    )
    step = tf.function(
        lambda inputs: tensorflow_step(model, inputs),
        input_signature=[signature],
    )
    return lambda _, inputs: step(inputs)


def jax_step(model, inputs):
    """Traces a step of training: the shapes do not depend on its compiler."""
    import jax

    def loss_of(weights, watched):
        watched = iter(watched)
        given = keras.tree.map_structure(
            lambda x: next(watched) if is_float(x) else x, inputs
        )
        others = [variable.value for variable in model.non_trainable_variables]
        outputs, _ = model.stateless_call(weights, others, given, training=True)
        return total(outputs), outputs

    weights = [weight.value for weight in model.trainable_variables]
    step = jax.grad(loss_of, (0, 1), has_aux=True)
    (by_weights, by_inputs), outputs = jax.eval_shape(
        step, weights, floats(inputs)
    )

    def zeros(spec):
        return np.zeros(spec.shape, spec.dtype)

    gradients = [*map(zeros, [*by_weights, *by_inputs])]
    return keras.tree.map_structure(zeros, outputs), gradients


def torch_step(model, inputs):
    import torch

    inputs = keras.tree.map_structure(
        lambda x: torch.tensor(x, requires_grad=is_float(x)), inputs
    )
    weights = [weight.value for weight in model.trainable_weights]
    outputs = model(inputs, training=True)
    watched = weights + floats(inputs)
    gradients = torch.autograd.grad(total(outputs), watched, allow_unused=True)
    return outputs, [
        torch.zeros_like(x) if gradient is None else gradient
        for x, gradient in zip(watched, gradients, strict=True)
    ]


STEPS = {"tensorflow": tensorflow_step, "jax": jax_step, "torch": torch_step}


def shapes(outputs):
    return keras.tree.map_structure(
        lambda output: np.array(output.shape), outputs
    )


def check(model, step):
    wanted, _ = step(model, arrays(model, ROWS, LENGTH))
    for rows, length in EMPTY:
        inputs = arrays(model, rows, length)
        outputs, gradients = step(model, inputs)
        # A row without positions has no slot for a masked token, and no start.
        sizes = {ROWS: rows, LENGTH: length, 1: min(1, length)}
        keras.tree.map_structure(
            lambda found, full, sizes=sizes: np.testing.assert_array_equal(
                found, [sizes.get(size, size) for size in full]
            ),
            shapes(outputs),
            shapes(wanted),
        )
        watched = [*model.trainable_weights, *floats(inputs)]
        for gradient, variable in zip(gradients, watched, strict=True):
            gradient = keras.ops.convert_to_numpy(gradient)
            assert gradient.shape == tuple(variable.shape)
            assert np.isfinite(gradient).all()
            # The logits of a text without positions are sums of biases.
            if rows == 0 or "bias" not in getattr(variable, "path", ""):
                assert not gradient.any()


@pytest.mark.once
def test_each_layer_is_tested():
    assert {*CASES} == {*layers.__all__}


@pytest.mark.parametrize("make", [*models()])
def test_outputs_and_gradients_of_an_empty_batch(make):
    check(make(), STEPS[BACKEND])


@pytest.mark.once
@pytest.mark.parametrize("make", [*traced()])
def test_a_graph_of_open_sizes(make):
    model = make()
    check(model, tensorflow_graph(model))


@pytest.mark.one_backend("torch")
def test_pooling_of_no_positions_is_that_of_padding():
    encoder = backbone()
    for pooling in ("mean", "max"):
        model = ConvBertTextEmbedder(encoder, pooling=pooling, normalize=False)
        nothing = model(arrays(model, 2, 0))
        padding = model(arrays(model, 2, 3))
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(nothing),
            keras.ops.convert_to_numpy(padding),
        )
