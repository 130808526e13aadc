"""Dtype policies of layers that contain layers, some of them quantized."""

from collections.abc import Iterable

import keras

from keras_convbert.compat import flatten_layers
from keras_convbert.types import DType


def policy_at(policy: DType, path: str) -> DType:
    """Returns the policy of the Keras layer at `path`.

    A quantized Keras layer must not get a whole policy map: it could be
    loaded, but not saved again.
    """
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        return policy[path]
    return policy


def quantized_policies(
    layers: Iterable[keras.layers.Layer],
) -> dict[str, keras.DTypePolicy]:
    """Returns the policies of the quantized layers, by path."""
    return {
        layer.path: layer.dtype_policy
        for layer in layers
        if layer.quantization_mode is not None
    }


def policy_of_parts(layer: keras.layers.Layer) -> keras.DTypePolicy:
    """Returns the policy that restores `layer` with its quantized parts."""
    policy = layer.dtype_policy
    quantized = quantized_policies(flatten_layers(layer, include_self=False))
    if not quantized:
        return policy
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        quantized = {**policy, **quantized}
        policy = policy.default_policy
    return keras.dtype_policies.DTypePolicyMap(policy, quantized)
