"""Loads backbones from presets."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import nullcontext
from typing import Any

import keras

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import jax_memory_cleanup
from keras_convbert.compat import without_random_values
from keras_convbert.files import AnyPath
from keras_convbert.models.presets.errors import preset_errors
from keras_convbert.models.presets.family import family_of
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import WEIGHTS_FILE
from keras_convbert.models.presets.files import WEIGHTS_INDEX_FILE
from keras_convbert.models.presets.preset import Preset
from keras_convbert.types import Config
from keras_convbert.types import DType


def load_backbone(
    cls: type[Any],
    preset: AnyPath | Preset,
    load_weights: bool,
    arguments: dict[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Returns the backbone of a preset.

    Args:
        cls: the backbone class of a family.
        preset: path, handle, name of an architecture, or an open `Preset`.
        load_weights: bool. Whether to load weights.
        arguments: dict. Arguments that replace those of the preset.
        custom_objects: dict of classes and functions outside of this library
            that the preset may name. Defaults to `None`.
    """
    family = family_of(cls)
    if not isinstance(preset, Preset) and preset in family.architectures:
        if load_weights:
            raise ValueError(
                f'"{preset}" names an architecture, without weights. Expected '
                "`load_weights=False`, or a preset with weights. "
                f"Received: load_weights={load_weights}"
            )
        config = family.architectures[str(preset)]["config"]
        return cls(**{**config, **arguments})
    preset = Preset.open(preset, cls, custom_objects)
    if preset.foreign is not None:
        with preset_errors(preset):
            return preset.foreign.load_backbone(
                cls, preset, load_weights, arguments
            )
    preset.check(load_weights)
    dtype = backbone_dtype(preset, arguments.pop("dtype", None))
    with preset_errors(preset, ValueError), safe_loading():
        with weights_to_load(load_weights):
            backbone = deserialize(
                preset, CONFIG_FILE, cls, {"dtype": dtype, **arguments}
            )
        if load_weights:
            jax_memory_cleanup(backbone)
            load_backbone_weights(backbone, preset)
        return backbone


def weights_to_load(load_weights: bool) -> AbstractContextManager[None]:
    """Skips random weights in a model whose weights will all be loaded."""
    return without_random_values() if load_weights else nullcontext()


def deserialize(
    preset: Preset, file: str, cls: type[Any], arguments: Config
) -> Any:
    """Returns the object that a file describes, with `arguments` replaced.

    Raises:
        CheckpointError: if the object is not a `cls`.
    """
    config = preset.read(file)
    registered = keras.saving.get_registered_object(
        config["registered_name"], preset.custom_objects
    )
    if registered is None or not issubclass(registered, cls):
        raise CheckpointError(
            f"Expected a preset of {cls.__name__}. "
            f"Received: registered_name={config['registered_name']!r}"
        )
    return keras.saving.deserialize_keras_object(
        {**config, "config": {**config["config"], **arguments}},
        preset.custom_objects,
    )


def load_backbone_weights(backbone: Any, preset: Preset) -> None:
    """Loads backbone weights from a preset in the format of KerasHub."""
    if preset.weights is None:
        raise FileNotFoundError(
            f"Expected weights in {WEIGHTS_FILE!r} or {WEIGHTS_INDEX_FILE!r}. "
            f"Received: preset={preset.handle!r}"
        )
    backbone.load_weights(preset.weights)


def backbone_dtype(preset: Preset, given: DType) -> DType:
    """Returns the dtype policy of a quantized preset, or else `given`.

    Raises:
        ValueError: if `given` is not `None` for a quantized preset.
    """
    with preset_errors(preset):
        dtype = preset.read(CONFIG_FILE)["config"].get("dtype")
    if (
        not isinstance(dtype, dict)
        or dtype.get("class_name") != "DTypePolicyMap"
    ):
        return given
    if given is not None:
        raise ValueError(
            "Expected no `dtype` for a quantized preset, which has its own. "
            f"Received: dtype={given!r}, preset={preset.handle!r}"
        )
    with safe_loading():
        return keras.dtype_policies.get(dtype)
