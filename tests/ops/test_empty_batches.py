"""Operators on batches without rows or positions.

A replica gets such a batch at the end of an epoch, a server gets such a
request. `tests/test_onednn.py` runs these tests with and without oneDNN.
"""

import dataclasses
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable

import keras
import numpy as np
import pytest

from keras_convbert import config
from keras_convbert import ops
from keras_convbert.ops.attention import fused_attention
from keras_convbert.ops.chunked_cross_entropy import (
    chunked_cross_entropy_and_sample,
)
from keras_convbert.ops.dense import dense
from keras_convbert.ops.dynamic_conv import dynamic_conv_of_heads
from keras_convbert.ops.feed_forward import activate
from keras_convbert.ops.feed_forward import feed_forward
from keras_convbert.ops.precision import add_promoted
from keras_convbert.ops.random import stateless_dropout
from keras_convbert.ops.random import uniform
from keras_convbert.ops.sampling import sample_categorical
from keras_convbert.ops.sizes import first_or_zeros
from keras_convbert.ops.sizes import largest
from keras_convbert.ops.time_padding import pad_time
from tests.gradients import outputs_and_gradients

EMPTY = [(0, 13), (2, 0), (0, 0)]
# U: units. The other letters are those of the package.
SIZES = {"D": 8, "H": 2, "R": 4, "I": 4, "U": 6, "V": 300}
SEED = np.array([1, 2], "uint32")
# The kernels of TensorFlow depend on the number of taps.
TAPS = [(4, "same"), (1, "same"), (9, "causal"), (20, "same")]
REPEATS = 3
if keras.backend.backend() != "tensorflow":
    TAPS, REPEATS = TAPS[:1], 1


@dataclasses.dataclass(frozen=True)
class Case:
    """A function of tensors, with the axes of these and of its output."""

    function: Callable
    inputs: str
    output: str

    def arrays(self, rows, length, taps):
        return [
            np.ones(shape(axes, rows, length, taps), "float32")
            for axes in self.inputs.split()
        ]


def shape(axes, rows, length, taps=3):
    sizes = {**SIZES, "B": rows, "T": length, "K": taps}
    return tuple(sizes[axis] for axis in axes)


def attention(query, key, value):
    batch, length = keras.ops.shape(key)[:2]
    mask = keras.ops.ones((batch, 1, 1, length), "bool")
    return fused_attention(query, key, value, mask)


def losses(hidden, embeddings, bias):
    zeros = keras.ops.zeros_like(hidden[:, 0])
    return chunked_cross_entropy_and_sample(
        hidden, embeddings, bias, keras.ops.cast(zeros, "int32"), zeros
    )[0]


def sampled(logits):
    found = sample_categorical(logits, logits[..., 0])
    return keras.ops.cast(found, logits.dtype) + logits[..., 0]


CONVOLUTIONS = {
    "dynamic_conv1d": Case(ops.dynamic_conv1d, "BTD BTHK", "BTD"),
    "dynamic_conv_of_heads": Case(dynamic_conv_of_heads, "BTHR BTHK", "BTHR"),
    "lightweight_conv1d": Case(ops.lightweight_conv1d, "BTD HK", "BTD"),
    "depthwise_conv1d": Case(ops.depthwise_conv1d, "BTD KD", "BTD"),
}
OTHERS = {
    "activate": Case(
        lambda x: activate(keras.activations.gelu, x), "BTD", "BTD"
    ),
    "add_promoted": Case(add_promoted, "BTD BTD", "BTD"),
    "chunked_cross_entropy_and_sample": Case(losses, "BD VD V", "B"),
    "dense": Case(dense, "BTD DU U", "BTU"),
    "dense-heads": Case(
        lambda x, kernel, bias: dense(x, kernel, bias, axes=2),
        "BTHR HRU U",
        "BTU",
    ),
    "feed_forward": Case(
        lambda x, w, b, v, c: feed_forward(
            x, (w, b), keras.activations.gelu, (v, c), 2
        ),
        "BTD DI I IU U",
        "BTU",
    ),
    "first_or_zeros": Case(first_or_zeros, "BTD", "BD"),
    "fused_attention": Case(
        lambda *heads: fused_attention(*heads, None), "BTHR BTHR BTHR", "BTHR"
    ),
    "fused_attention-mask": Case(attention, "BTHR BTHR BTHR", "BTHR"),
    "largest": Case(lambda x: largest(x, 1, -math.inf), "BTD", "BD"),
    "pad_time": Case(lambda x: pad_time(x, 2, 1)[:, 3:], "BTD", "BTD"),
    "sample_categorical": Case(sampled, "BTV", "BT"),
    "stateless_dropout": Case(
        lambda x: stateless_dropout(x, 0.5, keras.ops.convert_to_tensor(SEED)),
        "BTD",
        "BTD",
    ),
    "uniform": Case(
        lambda x: x + uniform(tuple(keras.ops.shape(x)), 1), "BTD", "BTD"
    ),
}
# Formulations, which `config` selects, and functions without an axis B or T.
NOT_LISTED = {
    *("blocks", "naive", "shifts", "slices", "shifts_forward"),
    *("values_gradient", "window", "padding_widths", "formulation"),
    *("at_least_one", "pad_if_empty", "check_floats", "check_heads"),
    *("draw_seed", "float32_or_wider", "num_partitions", "upcast"),
    *("sequential_map", "sequential_sum", "supports_fused_dropout"),
    *("use_fused_dense", "with_gradient"),
}


@pytest.mark.once
def test_each_function_is_listed():
    found = set()
    for info in pkgutil.walk_packages(ops.__path__, f"{ops.__name__}."):
        module = importlib.import_module(info.name)
        found |= {
            name
            for name, value in inspect.getmembers(module, inspect.isfunction)
            if value.__module__ == info.name and not name.startswith("_")
        }
    listed = {name.split("-")[0] for name in {**CONVOLUTIONS, **OTHERS}}
    assert found == listed | NOT_LISTED


def formulations():
    """Convolutions with the formulations of this backend."""
    for name in CONVOLUTIONS:
        op = "dynamic_conv1d" if "dynamic" in name else "depthwise_conv1d"
        for form in config.IMPLEMENTATIONS[op]:
            if form != "slices" or keras.backend.backend() == "torch":
                yield pytest.param(name, op, form, id=f"{name}-{form}")


@pytest.fixture
def forced(op, formulation):
    config.set_implementation(op, formulation)
    yield
    config.set_implementation(op, None)


def check(case, rows, length, taps, function=outputs_and_gradients):
    arrays = case.arrays(rows, length, taps)
    upstream = np.ones(shape(case.output, rows, length), "float32")
    outputs, gradients = function(case, arrays, upstream)
    assert outputs.shape == upstream.shape
    assert np.isfinite(outputs).all() or not length
    for gradient, array in zip(gradients, arrays, strict=True):
        assert gradient.shape == array.shape
        if not rows or "T" in case.output:
            np.testing.assert_array_equal(gradient, np.zeros(array.shape))


def compute(case, arrays, upstream, **named):
    return outputs_and_gradients(
        lambda *tensors: case.function(*tensors, **named), arrays, upstream
    )


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize(("rows", "length"), EMPTY)
@pytest.mark.parametrize(("name", "op", "formulation"), [*formulations()])
def test_each_formulation(name, rows, length):
    for taps, padding in TAPS:
        # Uninitialized memory may hold zeros once.
        for _ in range(REPEATS):
            check(
                CONVOLUTIONS[name],
                rows,
                length,
                taps,
                lambda *x, padding=padding: compute(*x, padding=padding),
            )


@pytest.mark.parametrize(("rows", "length"), EMPTY)
@pytest.mark.parametrize("name", OTHERS)
def test_each_operator(name, rows, length):
    check(OTHERS[name], rows, length, taps=3, function=compute)


def open_graph(case):
    """Outputs and gradients by one TensorFlow graph of open sizes."""
    import tensorflow as tf

    def spec(axes):
        return tf.TensorSpec(shape(axes, None, None))

    @tf.function(
        input_signature=[
            [*map(spec, case.inputs.split())],
            spec(case.output),
        ]
    )
    def step(tensors, upstream):
        outputs = case.function(*tensors)
        return outputs, tf.gradients(outputs, tensors, upstream)

    def function(_, arrays, upstream):
        outputs, gradients = step([*map(tf.constant, arrays)], upstream)
        return outputs.numpy(), [gradient.numpy() for gradient in gradients]

    return function


@pytest.mark.parametrize("name", [*CONVOLUTIONS, *OTHERS])
def test_a_graph_of_open_sizes(name):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends trace a graph for each shape")
    case = {**CONVOLUTIONS, **OTHERS}[name]
    function = open_graph(case)
    for rows, length in EMPTY:
        check(case, rows, length, 3, function)
    arrays = case.arrays(2, 5, 3)
    upstream = np.ones(shape(case.output, 2, 5), "float32")
    outputs, gradients = function(case, arrays, upstream)
    assert outputs.shape == upstream.shape
    assert any(gradient.any() for gradient in gradients)
