"""Allow-list of the classes and functions that a configuration may name."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import walk
from keras_convbert.types import Config

PACKAGE = "keras_convbert>"
"""Prefix of the registered names of this library."""

KINDS: dict[str, tuple[Any, type]] = {
    "keras": (keras, keras.DTypePolicy),
    "keras.dtype_policies": (keras.dtype_policies, keras.DTypePolicy),
    "keras.losses": (keras.losses, keras.losses.Loss),
    "keras.metrics": (keras.metrics, keras.metrics.Metric),
    "keras.optimizers": (keras.optimizers, keras.optimizers.Optimizer),
    "keras.optimizers.schedules": (
        keras.optimizers.schedules,
        keras.optimizers.schedules.LearningRateSchedule,
    ),
}
"""Keras modules, and the base of the classes that are allowed in each."""

FUNCTIONS = {
    "keras.activations": keras.activations,
    "keras.losses": keras.losses,
    "keras.metrics": keras.metrics,
}
NO_PLAIN_FUNCTIONS = {"get", "serialize", "deserialize"}
# They allocate tables of the size that their arguments give.
REFUSED = {"IoU", "BinaryIoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"}
MAX_OBJECTS = 1000
MAX_INTEGER = 2**16


def check_config(
    config: Config, file: str, custom_objects: Mapping[str, Any] | None = None
) -> None:
    """Refuses a configuration that names anything outside the allow-list.

    Allowed are the classes of this library and their subclasses; the
    optimizers, schedules, losses, metrics, activations and dtype policies of
    Keras; and `custom_objects`.

    Args:
        config: dict. A configuration that Keras deserializes.
        file: string. The file that contains it, for messages.
        custom_objects: dict from names to further classes or functions that
            are allowed. Defaults to `None`.

    Raises:
        CheckpointError: if it names anything else, or too many objects, or if
            an integer would make an object too large.
    """
    custom_objects = custom_objects or {}
    registered = {**keras.saving.get_custom_objects(), **custom_objects}
    objects = 0
    for part in walk(config):
        if isinstance(part, str) and part in registered:
            _check_registered(part, registered[part], file, custom_objects)
        if isinstance(part, dict) and isinstance(part.get("vocabulary"), str):
            raise CheckpointError(
                f"{file!r} names a vocabulary file, which is not allowed. "
                f"Received: vocabulary={part['vocabulary']!r}"
            )
        if not isinstance(part, dict) or "class_name" not in part:
            continue
        if part["class_name"] == "function":
            _check_function(part, file, registered, custom_objects)
            continue
        kind = _kind(part, file, registered, custom_objects)
        objects += kind is not keras.DTypePolicy
        if objects > MAX_OBJECTS:
            raise CheckpointError(
                f"{file!r} makes too many objects. Expected at most "
                f"{MAX_OBJECTS}."
            )
        if kind is keras.metrics.Metric:
            _check_integers(part, file)


def _kind(
    part: Config,
    file: str,
    registered: Mapping[str, Any],
    custom_objects: Mapping[str, Any],
) -> type | None:
    """Returns the base class of a Keras object, `None` for registered ones."""
    name = part["class_name"]
    # Keras looks for the registered name first.
    for key in (part.get("registered_name", name), name):
        if isinstance(key, str) and key in registered:
            _check_registered(key, registered[key], file, custom_objects)
            return None
    module = part.get("module")
    if isinstance(name, str) and isinstance(module, str) and module in KINDS:
        namespace, kind = KINDS[module]
        found = vars(namespace).get(name)
        fits = inspect.isclass(found) and issubclass(found, kind)
        if fits and name not in REFUSED:
            return kind
    raise _refusal(f"{module}.{name}", file)


def _check_function(
    part: Config,
    file: str,
    registered: Mapping[str, Any],
    custom_objects: Mapping[str, Any],
) -> None:
    name = part.get("config", part.get("registered_name"))
    alias = part.get("registered_name", name)
    module = part.get("module")
    if isinstance(name, str) and alias in (name, "function", None):
        if name in registered:
            _check_registered(name, registered[name], file, custom_objects)
            return
        found = any(
            inspect.isfunction(vars(namespace).get(name))
            for key, namespace in FUNCTIONS.items()
            if module in ("builtins", key)
        )
        if found and name not in NO_PLAIN_FUNCTIONS:
            return
    raise _refusal(f"{module}.{name}", file)


def _check_registered(
    name: str, found: Any, file: str, custom_objects: Mapping[str, Any]
) -> None:
    allowed = any(found is own for own in custom_objects.values())
    if allowed or name in custom_objects or name.startswith(PACKAGE):
        return
    if inspect.isclass(found) and any(
        cls.__module__.startswith("keras_convbert.") for cls in found.__mro__
    ):
        return
    raise _refusal(name, file)


def _check_integers(part: Config, file: str) -> None:
    for value in walk(part.get("config")):
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise CheckpointError(
                f"{file!r} makes an object too large. Expected integers up to "
                f"{MAX_INTEGER}. Received: {value} in {part['class_name']!r}"
            )


def _refusal(name: str, file: str) -> CheckpointError:
    return CheckpointError(
        f"{file!r} names a class or function that is not on the list of what "
        "may be loaded. If it is yours, pass it in `custom_objects`. "
        f"Received: {name!r}"
    )
