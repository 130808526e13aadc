"""Dtype policies of layers made of layers, some of them quantized."""

from collections.abc import Iterable

import keras

from keras_convbert.compat import flatten_layers
from keras_convbert.types import DType


def policy_at(policy: DType, path: str) -> DType:
    """What `policy` says of one of Keras's layers, at `path`.

    A quantized layer that is given a whole map can be loaded, but not saved
    again.
    """
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        return policy[path]
    return policy


def quantized_policies(
    layers: Iterable[keras.layers.Layer],
) -> dict[str, keras.DTypePolicy]:
    """The policies of the layers that are quantized, by path."""
    return {
        layer.path: layer.dtype_policy
        for layer in layers
        if layer.quantization_mode is not None
    }


def policy_of_parts(layer: keras.layers.Layer) -> keras.DTypePolicy:
    """The policy that makes `layer` again, quantized parts included."""
    policy = layer.dtype_policy
    quantized = quantized_policies(flatten_layers(layer, include_self=False))
    if not quantized:
        return policy
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        quantized = {**policy, **quantized}
        policy = policy.default_policy
    return keras.dtype_policies.DTypePolicyMap(policy, quantized)
