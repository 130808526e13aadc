import keras
import numpy as np
import pytest

from keras_convbert.layers import GroupedDense
from tests.layers import formulas
from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import to_numpy


def test_hand_worked_example():
    layer = GroupedDense(2, groups=2)
    layer.build((None, 4))
    layer.kernel.assign([[[1.0], [10.0]], [[2.0], [3.0]]])
    layer.bias.assign([[0.5], [-0.5]])
    outputs = layer(np.float32([[1, 2, 3, 4]]))
    # 1 * 1 + 2 * 10 + 0.5, and 3 * 2 + 4 * 3 - 0.5.
    np.testing.assert_allclose(to_numpy(outputs), [[21.5, 17.5]])


@pytest.mark.parametrize("shape", [(3, 8), (2, 5, 8), (2, 1, 3, 8)], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_the_formula(shape, groups):
    layer = GroupedDense(12, groups=groups, activation="gelu")
    layer.build(shape)
    randomise(layer)
    inputs = np.random.default_rng(0).normal(size=shape).astype("float32")
    wanted = formulas.gelu(
        formulas.grouped_dense(inputs, **formulas.weights_of(layer.blocks))
    )
    np.testing.assert_allclose(to_numpy(layer(inputs)), wanted, atol=2e-6)


def test_one_group_is_a_dense_layer():
    inputs = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    layer, dense = GroupedDense(6), keras.layers.Dense(6)
    layer.build(inputs.shape)
    dense.build(inputs.shape)
    dense.kernel.assign(layer.kernel[0])
    np.testing.assert_allclose(
        to_numpy(layer(inputs)), to_numpy(dense(inputs)), atol=1e-6
    )


def test_a_mask_passes_through():
    embedding = keras.layers.Embedding(5, 8, mask_zero=True)
    outputs = GroupedDense(6, groups=2)(embedding(np.array([[1, 2, 0, 0]])))
    mean = keras.layers.GlobalAveragePooling1D()(outputs)
    np.testing.assert_allclose(
        to_numpy(mean), to_numpy(outputs)[:, :2].mean(1), atol=1e-6
    )


def test_shapes_and_the_authors_initializers():
    layer = GroupedDense(200, groups=4)
    layer.build((None, 400))
    assert layer.kernel.shape == (4, 100, 50)
    assert layer.bias.shape == (4, 50)
    # Truncation at two deviations scales the standard deviation by 0.88.
    kernel = to_numpy(layer.kernel)
    np.testing.assert_allclose(
        kernel.std(),
        0.02 * 0.8796,
        rtol=0.02,  # 20,000 draws: four standard errors
    )
    assert np.abs(kernel).max() <= 0.04  # truncated at two deviations
    assert not to_numpy(layer.bias).any()


def test_without_bias():
    layer = GroupedDense(6, groups=2, use_bias=False)
    layer.build((None, 4))
    assert layer.bias is None
    assert len(layer.weights) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "`units`.*positive integer. Received: units=0"),
        ({"units": 6.0}, "Received: units=6.0"),
        ({"units": 6, "groups": True}, "Received: groups=True"),
        ({"units": 6, "groups": 4}, "Received: units=6, groups=4"),
    ],
    ids=["zero", "float", "bool", "not divisible"],
)
def test_wrong_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GroupedDense(**options)


@pytest.mark.parametrize("features", [5, None])
def test_features_must_divide(features):
    layer = GroupedDense(6, groups=2)
    with pytest.raises(ValueError, match=f"{features}\\), groups=2"):
        layer.build((2, features))
