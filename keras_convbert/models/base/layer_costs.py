"""Parameters, FLOPs and activations of layers.

The FLOPs per element are those of `flops_computation.py` of ELECTRA.
"""

from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import keras

from keras_convbert.compat import flatten_layers

DROPOUT_FLOPS = 4
LAYER_NORM_FLOPS = 5
ACTIVATION_FLOPS = 8
SOFTMAX_FLOPS = 5


class LayerCost(NamedTuple):
    """The cost of one layer."""

    name: str
    parameters: int
    flops: int
    """FLOPs of a forward pass over one sequence."""
    activation_bytes: int
    """Bytes stored per sequence for the backward pass."""


class ElementBytes(NamedTuple):
    """Bytes per element stored for the backward pass."""

    compute: int
    """Bytes in the compute dtype of the model."""
    exact: int
    """Bytes in softmax and layer norm, which use at least float32."""


def dense_cost(
    name: str,
    inputs_dim: int,
    units: int,
    activated: bool,
    positions: int,
    size: ElementBytes,
    use_bias: bool = True,
) -> LayerCost:
    """Returns the cost of a dense layer applied to `positions` positions."""
    flops = (2 * inputs_dim + 1 + activated * ACTIVATION_FLOPS) * units
    kept = (inputs_dim + activated * units) * size.compute
    parameters = (inputs_dim + use_bias) * units
    return LayerCost(name, parameters, flops * positions, kept * positions)


def head_costs(
    task: Any, length: int, size: ElementBytes
) -> Iterator[LayerCost]:
    """Yields the costs of the layers of a task outside of its backbone.

    A layer may return its own cost from `layer_cost(task, length, size)`. In
    other layers the dense layers are counted.
    """
    for layer in task.layers:
        if layer is task.backbone or not layer.weights:
            continue
        if hasattr(layer, "layer_cost"):
            yield layer.layer_cost(task, length, size)
            continue
        for part in flatten_layers(layer):
            if isinstance(part, keras.layers.Dense):
                yield _dense_layer_cost(layer, part, length, size)


def _dense_layer_cost(
    layer: keras.layers.Layer,
    dense: keras.layers.Dense,
    length: int,
    size: ElementBytes,
) -> LayerCost:
    inputs = keras.tree.flatten(layer.input)[0]
    return dense_cost(
        layer.name if dense is layer else f"{layer.name}/{dense.name}",
        dense.kernel.shape[0],
        dense.units,
        dense.activation is not keras.activations.linear,
        1 if len(inputs.shape) == 2 else length,
        size,
        dense.use_bias,
    )
