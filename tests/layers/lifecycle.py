"""Small layers of each class, for the tests that every layer must pass."""

import dataclasses

import keras
import numpy as np

from keras_convbert.layers import ConvBertEncoderBlock
from keras_convbert.layers import DynamicConv1D
from keras_convbert.layers import GroupedDense
from keras_convbert.layers import LightweightConv1D
from keras_convbert.layers import MixedAttention
from keras_convbert.layers import SpanBasedDynamicConv1D

BATCH, LENGTH, WIDTH = 2, 6, 8


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, the shapes of its inputs, and its number of weights."""

    layer_class: type
    options: dict
    num_weights: int
    num_products: int
    query_shape: tuple | None = None
    takes_mask: bool = True

    def layer(self, **options):
        """Returns a layer named "tested", with zero kernels by default.

        JAX would compile a program per shape of a random kernel.
        """
        options = {"kernel_initializer": "zeros", **self.options, **options}
        return self.layer_class(name="tested", **options)

    @property
    def shapes(self):
        shapes = [(BATCH, LENGTH, WIDTH)]
        if self.query_shape:
            shapes.append((BATCH, LENGTH, *self.query_shape))
        return shapes

    def arrays(self, seed=0):
        """Returns random inputs, and a padding mask if the layer takes one."""
        rng = np.random.default_rng(seed)
        arrays = [rng.normal(size=s).astype("float32") for s in self.shapes]
        if self.takes_mask:
            mask = np.ones((BATCH, LENGTH), dtype="int32")
            mask[1, 4:] = 0
            arrays.append(mask)
        return arrays

    def built(self, **options):
        layer = self.layer(**options)
        layer.build(*self.shapes)
        return layer

    def model(self, layer=None, **options):
        """Returns a functional model of unknown sizes with only this layer."""
        layer = layer or self.layer(**options)
        inputs = [keras.Input((None, *s[2:])) for s in self.shapes]
        named = {}
        if self.takes_mask:
            named["padding_mask"] = keras.Input((None,), dtype="int32")
        outputs = layer(*inputs, **named)
        return keras.Model([*inputs, *named.values()], outputs)

    def call(self, layer, arrays, **named):
        """Calls the layer on the result of `arrays()`."""
        if self.takes_mask:
            *arrays, named["padding_mask"] = arrays
        return layer(*arrays, **named)


CASES = {
    "GroupedDense": Case(
        GroupedDense,
        {"units": 6, "groups": 2, "activation": "relu"},
        num_weights=2,
        num_products=1,
        takes_mask=False,
    ),
    "SpanBasedDynamicConv1D": Case(
        SpanBasedDynamicConv1D,
        {"num_heads": 2, "head_dim": 4, "kernel_size": 3},
        num_weights=7,
        num_products=3,
        query_shape=(2, 4),
    ),
    "MixedAttention": Case(
        MixedAttention,
        {"num_heads": 2, "head_dim": 4, "kernel_size": 3, "output_dim": 6},
        num_weights=15,
        num_products=7,
    ),
    "ConvBertEncoderBlock": Case(
        ConvBertEncoderBlock,
        {
            "hidden_dim": WIDTH,
            "intermediate_dim": 12,
            "num_heads": 4,
            "kernel_size": 3,
            "num_groups": 2,
        },
        num_weights=23,
        num_products=9,
    ),
    "LightweightConv1D": Case(
        LightweightConv1D,
        {"kernel_size": 3, "num_heads": 2, "use_bias": True},
        num_weights=2,
        num_products=0,
    ),
    "DynamicConv1D": Case(
        DynamicConv1D,
        {
            "kernel_size": 3,
            "num_heads": 2,
            "use_bias": True,
            "use_conv_bias": True,
        },
        num_weights=3,
        num_products=1,
    ),
}


def randomise(layer, seed=1, scale=0.3):
    """Sets every weight of `layer` to random values, biases and norms too."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.normal(scale=scale, size=weight.shape))


def run(model, arrays):
    """Returns the outputs of `model`, the way that starts fastest."""
    if keras.backend.backend() == "jax":
        return model.predict(arrays, verbose=0)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(arrays))


def to_numpy(tensor):
    return np.asarray(
        keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))
    )
