"""How tasks are made from presets, where KerasHub falls short.

It leaves out the dtypes of a quantized backbone, and knows none of a head, so
that such presets do not load; and it is silent about a head that is new.
"""

import inspect
import os
import warnings
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.layers.dtype_policies import quantized_policies
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.transformers.files import is_transformers
from keras_convbert.models.convbert.transformers.loading import check_head_size
from keras_convbert.models.convbert.transformers.loading import head_weights
from keras_convbert.models.convbert.transformers.loading import load_task
from keras_convbert.models.convbert.transformers.loading import (
    reuses_saved_head,
)
from keras_convbert.models.presets.checks import check_preset
from keras_convbert.models.presets.checks import preset_errors
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import TASK_FILE
from keras_convbert.models.presets.files import TASK_WEIGHTS_FILE
from keras_convbert.models.presets.files import find
from keras_convbert.models.presets.files import is_of
from keras_convbert.models.presets.files import read
from keras_convbert.models.presets.preprocessor_loading import task_preprocessor
from keras_convbert.types import Config
from keras_convbert.types import DType

MAX_NAMED = 8


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
            `sequence_length` and `vocabulary`. With `num_classes`, or other
            `labels`, the head is new.

    Returns:
        The task.

    Raises:
        FileNotFoundError: if a file of the preset is missing.
        CheckpointError: if a file of the preset is damaged, or may do harm.
            It is a `ValueError`.
        ValueError: if `num_classes` or `labels` is needed for a new head.
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
    load = load_task if theirs else _from_keras
    with preset_errors(preset):
        task, has_head = load(cls, preset, load_weights, kwargs)
    head = [weight.path for weight in head_weights(task)]
    if load_weights and head and not has_head:
        if len(head) > MAX_NAMED:
            head = [*dict.fromkeys(path.split("/")[0] for path in head)]
        warnings.warn(
            f"The head of {cls.__name__} ({', '.join(head)}) "
            f"is new, and random until it is trained: preset={preset!r} holds "
            "no weights for it, or `num_classes` or another `head` or `labels` "
            "were given.",
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
    given = kwargs.pop("dtype", None)
    dtype = dtype_of_preset(preset, given)
    saved: Config = {}
    if is_of(preset, TASK_FILE, cls):
        saved = read(preset, TASK_FILE)["config"]
    has_head = bool(saved) and reuses_saved_head(saved, kwargs)
    if has_head:
        task_preprocessor(cls, preset, kwargs)
        make = keras_hub.models.Task.from_preset.__func__
        # KerasHub's own choice of a dtype fails on mixed precision.
        kwargs["dtype"] = dtype or keras.config.dtype_policy().name
        with preset_errors(preset, ValueError), safe_loading():
            task = make(cls, preset, load_weights=load_weights, **kwargs)
        if load_weights and task.has_task_weights():
            _check_head_is_there(preset)
        return task, True
    check_head_size(cls, preset, kwargs)
    task_preprocessor(cls, preset, kwargs)
    parameters = inspect.signature(cls).parameters.keys()
    wanted = parameters & saved.keys() - {"backbone", "preprocessor"}
    arguments = {name: saved[name] for name in wanted} | kwargs
    backbone = cls.backbone_cls.from_preset(preset, load_weights, dtype=given)
    return cls(backbone=backbone, **arguments), False


def _check_head_is_there(preset: str) -> None:
    if find(preset, TASK_WEIGHTS_FILE) is None:
        raise CheckpointError(
            f"Expected the weights of the head in {TASK_WEIGHTS_FILE!r}. "
            f"Received: preset={preset!r}, which has no such file"
        )


def dtype_of_preset(preset: str, given: DType) -> DType:
    """The dtypes of a quantized preset, or those that were given.

    Raises:
        ValueError: if others were given for a quantized preset.
    """
    with preset_errors(preset):
        dtype = read(preset, CONFIG_FILE)["config"].get("dtype")
    if (
        not isinstance(dtype, dict)
        or dtype.get("class_name") != "DTypePolicyMap"
    ):
        return given
    if given is not None:
        raise ValueError(
            "Expected no `dtype` for a quantized preset, which has its own. "
            f"Received: dtype={given!r}, preset={preset!r}"
        )
    with safe_loading():
        return keras.dtype_policies.get(dtype)


def head_policy(backbone: keras_hub.models.Backbone, kwargs: Config) -> DType:
    """The dtype policy of a head; takes `head_dtype` out of `kwargs`."""
    head_dtype = kwargs.pop("head_dtype", None)
    if head_dtype is not None:
        return keras.dtype_policies.get(head_dtype)
    return _float_policy(backbone)


def head_config(task: keras_hub.models.Task) -> Config:
    """What a task's config says of the dtypes of a quantized head."""
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
    of_backbone = {id(layer) for layer in task.backbone._flatten_layers()}
    layers = [part for layer in task.layers for part in layer._flatten_layers()]
    return [layer for layer in layers if id(layer) not in of_backbone]
