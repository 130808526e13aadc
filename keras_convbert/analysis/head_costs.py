"""What the heads of tasks cost."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_convbert.analysis import elementwise_flops as each
from keras_convbert.analysis.cost_table import LayerCost
from keras_convbert.analysis.encoder_costs import Bytes
from keras_convbert.models.convbert.layers.masked_lm_head import MaskedLMHead


def masked_lm_cost(
    name: str,
    inputs_dim: int,
    embedding_dim: int,
    vocabulary_size: int,
    slots: int,
    size: Bytes,
) -> LayerCost:
    """The head that guesses tokens, and its softmax, in so many slots."""
    flops = (2 * inputs_dim + 1 + each.ACTIVATION + each.LAYER_NORM) * (
        embedding_dim
    ) + (2 * embedding_dim + each.SOFTMAX + 2) * vocabulary_size
    # Inputs, what comes before the activation, and what the table multiplies;
    # what comes into the norm, and the logarithms of probabilities.
    kept = (inputs_dim + 2 * embedding_dim) * size.compute
    kept += (embedding_dim + vocabulary_size) * size.exact
    return LayerCost(
        name,
        (inputs_dim + 1 + 2) * embedding_dim + vocabulary_size,
        flops * slots,
        kept * slots,
    )


def dense_cost(
    name: str,
    inputs_dim: int,
    units: int,
    activated: bool,
    places: int,
    size: Bytes,
) -> LayerCost:
    """A dense layer at so many places."""
    flops = (2 * inputs_dim + 1 + activated * each.ACTIVATION) * units
    kept = (inputs_dim + activated * units) * size.compute
    return LayerCost(
        name, (inputs_dim + 1) * units, flops * places, kept * places
    )


def task_head_costs(
    task: keras.Model, length: int, size: Bytes
) -> Iterator[LayerCost]:
    """The layers of a task beside its backbone that have weights."""
    backbone: Any = task.backbone
    for layer in task.layers:
        if layer is backbone or not layer.weights:
            continue
        if isinstance(layer, MaskedLMHead):
            yield masked_lm_cost(
                layer.name,
                backbone.hidden_dim,
                layer.token_embedding.output_dim,
                backbone.vocabulary_size,
                task.preprocessor.mask_selection_length
                if task.preprocessor
                else length,
                size,
            )
            continue
        products = [
            part
            for part in layer._flatten_layers()
            if isinstance(part, keras.layers.Dense)
        ]
        for product in products:
            yield _product_cost(layer, product, length, size)


def _product_cost(
    layer: keras.layers.Layer,
    product: keras.layers.Dense,
    length: int,
    size: Bytes,
) -> LayerCost:
    name = layer.name if product is layer else f"{layer.name}/{product.name}"
    inputs_dim = product.kernel.shape[0]
    inputs = keras.tree.flatten(layer.input)[0]
    activated = product.activation is not keras.activations.linear
    places = 1 if len(inputs.shape) == 2 else length
    cost = dense_cost(name, inputs_dim, product.units, activated, places, size)
    if product.use_bias:
        return cost
    return cost._replace(parameters=inputs_dim * product.units)
