"""Loads tasks from presets.

KerasHub does not restore the dtypes of a quantized backbone or head, and so
cannot load such presets. It also does not warn that a head is new.
"""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import jax_memory_cleanup
from keras_convbert.files import AnyPath
from keras_convbert.models.presets.backbone_loading import backbone_dtype
from keras_convbert.models.presets.backbone_loading import deserialize
from keras_convbert.models.presets.backbone_loading import load_backbone_weights
from keras_convbert.models.presets.backbone_loading import weights_to_load
from keras_convbert.models.presets.errors import preset_errors
from keras_convbert.models.presets.family import family_of
from keras_convbert.models.presets.files import TASK_FILE
from keras_convbert.models.presets.files import TASK_WEIGHTS_FILE
from keras_convbert.models.presets.preprocessor_loading import task_preprocessor
from keras_convbert.models.presets.preset import Preset
from keras_convbert.types import Config

MAX_NAMED = 8
# Arguments that give the number of outputs of a head; one is enough.
HEAD_SIZES = frozenset({"num_classes", "labels"})


def load_task(
    cls: type[Any],
    preset: AnyPath | Preset,
    load_weights: bool,
    arguments: dict[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Returns the task of a preset, and warns if its head is new.

    Args:
        cls: the class of the task.
        preset: path, handle, name of an architecture, or an open `Preset`.
        load_weights: bool. Whether to load weights.
        arguments: dict. Arguments of the task, which replace those of the
            preset; `dtype` of the backbone; arguments of the preprocessor.
        custom_objects: dict of classes and functions outside of this library
            that the preset may name. Defaults to `None`.
    """
    family = family_of(cls)
    if not isinstance(preset, Preset) and preset in family.architectures:
        backbone = cls.backbone_cls.from_preset(
            preset, load_weights, dtype=arguments.pop("dtype", None)
        )
        return cls(**{**arguments, "backbone": backbone})
    preset = Preset.open(preset, cls, custom_objects)
    if preset.foreign is None:
        preset.check(load_weights)
        load = _load_from_keras
    else:
        load = preset.foreign.load_task
    with preset_errors(preset):
        task, has_head = load(cls, preset, load_weights, arguments)
    head = [weight.path for weight in head_weights(task)]
    if load_weights and head and not has_head:
        _warn_of_new_head(cls, preset, head)
    return task


def _warn_of_new_head(cls: type[Any], preset: Preset, head: list[str]) -> None:
    if len(head) > MAX_NAMED:
        head = [*dict.fromkeys(path.split("/")[0] for path in head)]
    warnings.warn(
        f"The head of {cls.__name__} ({', '.join(head)}) is new and has random "
        f"weights: preset={preset.handle!r} holds no weights for it, or "
        "`num_classes`, another `head` or other `labels` were given.",
        stacklevel=4,
    )


def _load_from_keras(
    cls: type[Any],
    preset: Preset,
    load_weights: bool,
    arguments: dict[str, Any],
) -> tuple[Any, bool]:
    """Returns a task of a KerasHub preset, and whether its head was loaded."""
    given = arguments.pop("dtype", None)
    saved: Config = {}
    if preset.describes(TASK_FILE, cls):
        saved = preset.read(TASK_FILE)["config"]
    if not saved or not reuses_saved_head(saved, arguments):
        check_head_size(cls, preset, arguments)
        task_preprocessor(cls, preset, arguments)
        parameters = inspect.signature(cls).parameters.keys()
        wanted = parameters & saved.keys() - {"backbone", "preprocessor"}
        if not HEAD_SIZES.isdisjoint(arguments):
            wanted -= HEAD_SIZES
        kept = {name: saved[name] for name in wanted}
        backbone = cls.backbone_cls.from_preset(
            preset, load_weights, dtype=given
        )
        return cls(backbone=backbone, **{**kept, **arguments}), False
    task_preprocessor(cls, preset, arguments)
    backbone_config = saved["backbone"]
    # The dtype that KerasHub would choose fails with mixed precision.
    backbone_config["config"]["dtype"] = (
        backbone_dtype(preset, given) or keras.config.dtype_policy().name
    )
    with preset_errors(preset, ValueError), safe_loading():
        with weights_to_load(load_weights):
            task = deserialize(
                preset,
                TASK_FILE,
                cls,
                {"backbone": backbone_config, **arguments},
            )
        if load_weights:
            _load_weights(task, preset)
    return task, True


def _load_weights(task: Any, preset: Preset) -> None:
    if task.has_task_weights():
        path = preset.find(TASK_WEIGHTS_FILE)
        if path is None:
            raise CheckpointError(
                f"Expected the weights of the head in {TASK_WEIGHTS_FILE!r}. "
                f"Received: preset={preset.handle!r}, which lacks that file"
            )
        jax_memory_cleanup(task)
        task.load_task_weights(path)
    else:
        jax_memory_cleanup(task.backbone)
    load_backbone_weights(task.backbone, preset)


def head_weights(task: keras_hub.models.Task) -> list[keras.Variable]:
    """Returns the weights of a task outside of its backbone."""
    of_backbone = {id(weight) for weight in task.backbone.weights}
    return [w for w in task.weights if id(w) not in of_backbone]


def check_head_size(
    cls: type[Any], preset: Preset, arguments: dict[str, Any]
) -> None:
    """Raises `ValueError` if the arguments lack the size of a new head."""
    parameters = inspect.signature(cls.__init__).parameters
    sizes = [name for name in parameters if name in HEAD_SIZES]
    if sizes and all(arguments.get(name) is None for name in sizes):
        raise ValueError(
            f"The preset has no head for {cls.__name__}. Expected "
            f"{' or '.join(f'`{name}`' for name in sizes)} to create one. "
            f"Received: preset={preset.handle!r}"
        )


def reuses_saved_head(saved: dict[str, Any], arguments: dict[str, Any]) -> bool:
    """Whether `arguments` ask for the head that the preset holds.

    As in KerasHub, `num_classes` always creates a new head. `labels` may name
    the classes of a head that has no names.
    """
    if "num_classes" in arguments:
        return False
    if any(
        arguments.get(name, saved.get(name)) != saved.get(name)
        for name in ("head", "projection", "projection_dim")
    ):
        return False
    labels, named = arguments.get("labels"), saved.get("labels")
    if labels is None or isinstance(labels, str):
        return True
    if named is None:
        return len(labels) == saved.get("num_classes")
    return [*labels] == [*named]
