"""Dtype policies of task heads, which may be quantized."""

import keras
import keras_hub

from keras_convbert.compat import flatten_layers
from keras_convbert.layers.dtype_policies import quantized_policies
from keras_convbert.types import Config
from keras_convbert.types import DType


def head_policy(backbone: keras_hub.models.Backbone, kwargs: Config) -> DType:
    """Returns the dtype policy of a head; pops `head_dtype` from `kwargs`."""
    head_dtype = kwargs.pop("head_dtype", None)
    if head_dtype is not None:
        return keras.dtype_policies.get(head_dtype)
    return _float_policy(backbone)


def head_config(task: keras_hub.models.Task) -> Config:
    """Returns the config entry that restores the dtypes of a quantized head."""
    policies = quantized_policies(_head_layers(task))
    if not policies:
        return {}
    policy_map = keras.dtype_policies.DTypePolicyMap(
        _float_policy(task.backbone).name, policies
    )
    return {"head_dtype": keras.dtype_policies.serialize(policy_map)}


def _float_policy(backbone: keras_hub.models.Backbone) -> DType:
    policy = backbone.dtype_policy
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        return policy.default_policy
    return policy


def _head_layers(task: keras_hub.models.Task) -> list[keras.layers.Layer]:
    of_backbone = {id(layer) for layer in flatten_layers(task.backbone)}
    layers = [part for layer in task.layers for part in flatten_layers(layer)]
    return [layer for layer in layers if id(layer) not in of_backbone]
