"""Batches without rows: a replica can get one at the end of an epoch.

TensorFlow computes them with its own kernels or with oneDNN, which differ.
`TF_ENABLE_ONEDNN_OPTS` selects when TensorFlow starts.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_convbert import ops
from tests.gradients import outputs_and_gradients

LENGTH, CHANNELS, HEADS = 13, 8, 2


def kernel_shape(name, rows, taps):
    return {
        "dynamic_conv1d": (rows, LENGTH, HEADS, taps),
        "lightweight_conv1d": (HEADS, taps),
        "depthwise_conv1d": (taps, CHANNELS),
    }[name]


OPERATORS = ["dynamic_conv1d", "lightweight_conv1d", "depthwise_conv1d"]


@pytest.mark.parametrize("padding", ["same", "causal"])
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 8, 9, 20])
@pytest.mark.parametrize("name", OPERATORS)
def test_shapes_and_gradients(name, taps, padding):
    values = np.zeros((0, LENGTH, CHANNELS), "float32")
    kernel = np.ones(kernel_shape(name, 0, taps), "float32")
    for _ in range(3):  # uninitialized memory may hold zeros once
        outputs, gradients = outputs_and_gradients(
            lambda v, k: getattr(ops, name)(v, k, padding),
            [values, kernel],
            values,
        )
        assert outputs.shape == values.shape
        assert gradients[0].shape == values.shape
        np.testing.assert_array_equal(gradients[1], np.zeros(kernel.shape))


@pytest.mark.once
@pytest.mark.parametrize("padding", ["same", "causal"])
@pytest.mark.parametrize("taps", [1, 2, 3, 9, 20])
@pytest.mark.parametrize("rows", [0, 2])
def test_the_shape_without_positions(rows, taps, padding):
    values = np.zeros((rows, 0, CHANNELS), "float32")
    kernel = np.ones((taps, CHANNELS), "float32")
    outputs = ops.depthwise_conv1d(values, kernel, padding)
    assert outputs.shape == values.shape


@pytest.mark.parametrize("padding", ["same", "causal"])
@pytest.mark.parametrize("name", OPERATORS)
def test_a_graph_with_an_open_batch(name, padding):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends trace a graph for each shape")
    import tensorflow as tf

    shape = kernel_shape(name, None, 4)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, None, CHANNELS)),
            tf.TensorSpec(shape),
        ]
    )
    def convolved(values, kernel):
        outputs = getattr(ops, name)(values, kernel, padding)
        return outputs, tf.gradients(outputs, [values, kernel])

    for rows in (0, 2):
        values = tf.ones((rows, LENGTH, CHANNELS))
        kernel = tf.ones(kernel_shape(name, rows, 4))
        outputs, gradients = convolved(values, kernel)
        assert outputs.shape == values.shape
        assert gradients[0].shape == values.shape
        assert bool(np.any(gradients[1])) == bool(rows)


@pytest.mark.once
@pytest.mark.parametrize("onednn", ["0", "1"])
def test_with_and_without_onednn(onednn):
    process = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(__file__, "-k", "gradients or graph or shape"),
        ],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout[-4000:]
