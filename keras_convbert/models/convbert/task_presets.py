"""How tasks are made from presets, where KerasHub falls short.

It leaves out the dtypes of a quantized backbone, and knows none of a head, so
that such presets do not load; and it is silent about a head that is new. What
is defined here a task takes over by name, for the reason given in
`resumption`.
"""

import os
import warnings
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import check_file_exists
from keras_convbert.compat import load_json
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.preset_checks import check_preset
from keras_convbert.models.convbert.transformers_files import is_transformers
from keras_convbert.models.convbert.transformers_loading import (
    check_num_classes,
)
from keras_convbert.models.convbert.transformers_loading import head_weights
from keras_convbert.models.convbert.transformers_loading import load_task
from keras_convbert.types import Config
from keras_convbert.types import DType

TASK_FILE = "task.json"
TOKENIZER_FILE = "tokenizer.json"
PREPROCESSOR_FILE = "preprocessor.json"
LENGTH = 512


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
        **kwargs: arguments that replace those of the preset, and `dtype`, of
            the backbone. With `num_classes` the head is new. With
            `sequence_length` the preprocessor makes sequences of that length;
            else as the preset says, or of 512 or the backbone's longest. With
            `vocabulary`, of a preset of Hugging Face's form, its own is not
            read.

    Returns:
        The task.

    Raises:
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
    if is_transformers(preset):
        task, has_head = load_task(cls, preset, load_weights, kwargs)
    else:
        check_preset(preset, load_weights)
        with safe_loading():
            task, has_head = _from_keras(cls, preset, load_weights, kwargs)
    if load_weights and not has_head:
        head = [weight.path for weight in head_weights(task)]
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
    has_head = _is_of(preset, TASK_FILE, cls) and "num_classes" not in kwargs
    if not has_head:
        check_num_classes(cls, preset, kwargs)
        kwargs["head_dtype"] = None
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = quantized_dtype(preset)
    if "preprocessor" not in kwargs:
        kwargs["preprocessor"] = _preprocessor(
            cls, preset, kwargs.pop("sequence_length", None)
        )
    make = keras_hub.models.Task.from_preset.__func__
    return make(cls, preset, load_weights=load_weights, **kwargs), has_head


def _preprocessor(
    cls: type[keras_hub.models.Task], preset: str, length: int | None
) -> Any:
    kind = cls.preprocessor_cls
    if not check_file_exists(preset, TOKENIZER_FILE):
        warnings.warn(
            f"preset={preset!r} has no tokenizer: {cls.__name__} takes token "
            "ids, not text. Pass `preprocessor=` to give it one.",
            stacklevel=4,
        )
        return None
    if length is None and not _is_of(preset, PREPROCESSOR_FILE, kind):
        config = load_json(preset).get("config", {})
        length = min(LENGTH, config.get("max_sequence_length", LENGTH))
    given = {} if length is None else {"sequence_length": length}
    return kind.from_preset(preset, **given)


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


def _is_of(preset: str, file: str, cls: type[Any]) -> bool:
    """Whether a file of `preset` is of an object of this class."""
    if not check_file_exists(preset, file):
        return False
    name = load_json(preset, file).get("registered_name")
    return bool(name == keras.saving.get_registered_name(cls))
