"""How tasks are made from presets, where KerasHub falls short.

It leaves out the dtypes of a quantized backbone, and knows none of a head, so
that such presets do not load; and it is silent about a head that is new.
"""

import os
import warnings
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.preset_checks import check_preset
from keras_convbert.models.convbert.preset_files import CONFIG_FILE
from keras_convbert.models.convbert.preset_files import TASK_FILE
from keras_convbert.models.convbert.preset_files import is_of
from keras_convbert.models.convbert.preset_files import read
from keras_convbert.models.convbert.transformers_files import is_transformers
from keras_convbert.models.convbert.transformers_loading import (
    check_num_classes,
)
from keras_convbert.models.convbert.transformers_loading import head_weights
from keras_convbert.models.convbert.transformers_loading import load_task
from keras_convbert.models.convbert.transformers_tokenizer import has_tokenizer
from keras_convbert.types import Config
from keras_convbert.types import DType

MAX_NAMED = 8
OF_PREPROCESSOR = {"sequence_length", "vocabulary"}


def from_preset(
    cls: type[keras_hub.models.Task],
    /,
    preset: str,
    load_weights: bool = True,
    **kwargs: Any,
) -> Any:
    """Makes a task from a preset.

    Args:
        preset: string. A folder or a handle of a hub, of KerasHub's or of
            Hugging Face's form, or the name of a size of the paper, as
            `ConvBertBackbone.from_preset` takes it. A preset of a backbone
            alone, or of another task, gives a task with a new head, and a
            warning.
        load_weights: bool. Whether to load weights. Defaults to `True`.
        **kwargs: arguments that replace those of the preset, `dtype`, of the
            backbone, and those of the preprocessor's `from_preset`,
            `sequence_length` and `vocabulary`. With `num_classes` the head is
            new.

    Returns:
        The task.

    Raises:
        FileNotFoundError: if a file of the preset is missing.
        CheckpointError: if a file of the preset is damaged, or may do harm.
            It is a `ValueError`.
        ValueError: if `num_classes` is needed for a new head.
    """
    preset = os.fspath(preset)
    if preset in ARCHITECTURES:
        kwargs["backbone"] = cls.backbone_cls.from_preset(
            preset, load_weights, dtype=kwargs.pop("dtype", None)
        )
        return cls(**kwargs)
    theirs = is_transformers(preset)
    if not theirs:
        check_preset(preset, load_weights)
    if "preprocessor" not in kwargs:
        kwargs["preprocessor"] = _preprocessor(cls, preset, kwargs)
    load = load_task if theirs else _from_keras
    task, has_head = load(cls, preset, load_weights, kwargs)
    if load_weights and not has_head:
        head = [weight.path for weight in head_weights(task)]
        if len(head) > MAX_NAMED:
            head = [*dict.fromkeys(path.split("/")[0] for path in head)]
        warnings.warn(
            f"The head of {cls.__name__} ({', '.join(head)}) "
            f"is new, and random until it is trained: preset={preset!r} holds "
            "no weights for it, or `num_classes` was given.",
            stacklevel=2,
        )
    return task


def _from_keras(
    cls: type[keras_hub.models.Task],
    preset: str,
    load_weights: bool,
    kwargs: Config,
) -> tuple[Any, bool]:
    """Makes a task of a preset of KerasHub's; whether it has its head."""
    has_head = is_of(preset, TASK_FILE, cls) and "num_classes" not in kwargs
    if not has_head:
        check_num_classes(cls, preset, kwargs)
    if "num_classes" in kwargs:
        kwargs["head_dtype"] = None
    if kwargs.get("dtype") is None:
        # KerasHub's own choice fails on presets of mixed precision.
        kwargs["dtype"] = (
            quantized_dtype(preset) or keras.config.dtype_policy().name
        )
    make = keras_hub.models.Task.from_preset.__func__
    with safe_loading():
        task = make(cls, preset, load_weights=load_weights, **kwargs)
    return task, has_head


def _preprocessor(
    cls: type[keras_hub.models.Task], preset: str, kwargs: Config
) -> Any:
    """Makes the preprocessor; takes its arguments out of `kwargs`."""
    names = OF_PREPROCESSOR & kwargs.keys()
    arguments = {name: kwargs.pop(name) for name in names}
    if has_tokenizer(preset) or "vocabulary" in arguments:
        return cls.preprocessor_cls.from_preset(preset, **arguments)
    warnings.warn(
        f"preset={preset!r} has no vocabulary: {cls.__name__} takes token "
        "ids, not text. Give it one by `preprocessor=`, or, of a preset of "
        "Hugging Face's form, `vocabulary=`.",
        stacklevel=3,
    )
    return None


def quantized_dtype(preset: str) -> DType:
    """The dtypes of a quantized preset, or `None` of another."""
    dtype = read(preset, CONFIG_FILE).get("config", {}).get("dtype")
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
