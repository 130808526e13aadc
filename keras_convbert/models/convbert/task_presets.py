"""How tasks are made from presets, where KerasHub falls short.

It leaves out the dtypes of a quantized backbone, and knows none of a head, so
that such presets do not load; and it is silent about a head that is new. What
is defined here a task takes over by name, for the reason given in
`resumption`.
"""

import inspect
import warnings
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import check_file_exists
from keras_convbert.compat import load_json
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.preset_checks import check_preset
from keras_convbert.types import Config
from keras_convbert.types import DType

TASK_FILE = "task.json"


def from_preset(
    cls: type[keras_hub.models.Task],
    /,
    preset: str,
    load_weights: bool = True,
    **kwargs: Any,
) -> Any:
    """Makes a task from a preset.

    Args:
        preset: string. A folder written by `save_to_preset`, a handle of a
            hub, or the name of a size of the paper, as
            `ConvBertBackbone.from_preset` takes it. A preset of a backbone
            alone, or of another task, gives a task with a new head, and a
            warning.
        load_weights: bool. Whether to load weights. Defaults to `True`.
        **kwargs: arguments that replace those of the preset, and `dtype`, of
            the backbone. With `num_classes` the head is new.

    Returns:
        The task.

    Raises:
        CheckpointError: if a file of the preset is damaged, or may do harm.
            It is a `ValueError`.
        ValueError: if `num_classes` is needed for a new head.
    """
    if preset in ARCHITECTURES:
        kwargs["backbone"] = cls.backbone_cls.from_preset(
            preset, load_weights, dtype=kwargs.pop("dtype", None)
        )
        return cls(**kwargs)
    check_preset(preset, load_weights)
    has_head = _holds(preset, cls) and "num_classes" not in kwargs
    if not has_head:
        _check_num_classes(cls, preset, kwargs)
        kwargs["head_dtype"] = None
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = quantized_dtype(preset)
    make = keras_hub.models.Task.from_preset.__func__
    with safe_loading():
        task = make(cls, preset, load_weights=load_weights, **kwargs)
    if load_weights and not has_head:
        warnings.warn(
            f"The head of {cls.__name__} ({', '.join(_head_weights(task))}) "
            f"is new, and random until it is trained: preset={preset!r} holds "
            "no weights for it, or `num_classes` was given.",
            stacklevel=2,
        )
    return task


def quantized_dtype(preset: str) -> DType:
    """The dtypes of a quantized preset, or `None` of another."""
    dtype = load_json(preset).get("config", {}).get("dtype")
    if isinstance(dtype, dict) and dtype["class_name"] == "DTypePolicyMap":
        with safe_loading():
            return keras.dtype_policies.get(dtype)
    return None


def head_policy(backbone: keras_hub.models.Backbone, kwargs: Config) -> DType:
    """The dtype policy of a head; takes `head_dtype` out of `kwargs`."""
    head_dtype = kwargs.pop("head_dtype", None)
    if head_dtype is not None:
        return keras.dtype_policies.get(head_dtype)
    return _float_policy(backbone)


def head_config(task: keras_hub.models.Task) -> Config:
    """What a task's config says of the dtypes of a quantized head."""
    policies = {
        layer.path: layer.dtype_policy
        for layer in _head_layers(task)
        if layer.quantization_mode is not None
    }
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
    of_backbone = {id(layer) for layer in task.backbone._flatten_layers()}
    layers = [part for layer in task.layers for part in layer._flatten_layers()]
    return [layer for layer in layers if id(layer) not in of_backbone]


def _head_weights(task: keras_hub.models.Task) -> list[str]:
    of_backbone = {id(weight) for weight in task.backbone.weights}
    return [w.path for w in task.weights if id(w) not in of_backbone]


def _holds(preset: str, cls: type[keras_hub.models.Task]) -> bool:
    """Whether `preset` is of a task of this class."""
    if not check_file_exists(preset, TASK_FILE):
        return False
    name = load_json(preset, TASK_FILE).get("registered_name")
    return bool(name == keras.saving.get_registered_name(cls))


def _check_num_classes(
    cls: type[keras_hub.models.Task], preset: str, kwargs: Config
) -> None:
    wanted = "num_classes" in inspect.signature(cls.__init__).parameters
    if wanted and "num_classes" not in kwargs:
        raise ValueError(
            f"The preset has no head for {cls.__name__}. Expected "
            f"`num_classes`, to make a new one. Received: preset={preset!r}"
        )
