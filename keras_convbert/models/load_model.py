import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import keras

from keras_convbert.checkpoints import keras_archive
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.json_file import walk
from keras_convbert.checkpoints.keras_h5 import load_validated
from keras_convbert.checkpoints.safe_config import check_config
from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import ObjectSharingScope
from keras_convbert.compat import load_state
from keras_convbert.files import AnyPath
from keras_convbert.models.presets.family import Family
from keras_convbert.models.presets.size_limits import SizeRules
from keras_convbert.models.presets.size_limits import check_sizes
from keras_convbert.types import Config


def load_model(
    path: AnyPath, custom_objects: Mapping[str, Any] | None = None
) -> keras.Model:
    """Loads an untrusted `.keras` file with a model of this library.

    It returns the model that `keras.saving.load_model` returns, but builds
    only classes on a list: those of this library, and the optimizers, losses,
    metrics and dtype policies of Keras; and nothing larger than the weights in
    the file. It reads no other file, and leaves the global settings of Keras
    unchanged.

    Args:
        path: path of a file that `model.save` wrote.
        custom_objects: dict of names to further classes or functions that the
            file may use. Their code runs, with arguments from the file.
            Defaults to `None`.

    Returns:
        The model, compiled as it was.

    Raises:
        CheckpointError: if the file is damaged, names anything that is not
            allowed, is too large, or holds NaN or infinity. It is a
            `ValueError`, and names the file.
        FileNotFoundError: if there is no such file.

    Example:

    ```python
    import keras_convbert
    from keras_convbert.models import ConvBertBackbone

    backbone = ConvBertBackbone(
        vocabulary_size=50,
        num_layers=1,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=64,
    )
    backbone.save("backbone.keras")
    backbone = keras_convbert.load_model("backbone.keras")
    ```
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise CheckpointError(f"Expected {os.fspath(path)!r} to be a file.")
    with tempfile.TemporaryDirectory() as folder:
        keras_archive.unpack(path, folder)
        unpacked = pathlib.Path(folder)
        try:
            with safe_loading():
                return _load(unpacked, path, custom_objects)
        except Exception as error:
            # A damaged configuration may raise anything.
            fault = str(error).replace(f"{unpacked}{os.sep}", "")
            raise CheckpointError(
                f"Cannot load {os.fspath(path)!r}: {fault}"
            ) from error


def _load(
    unpacked: pathlib.Path,
    path: AnyPath,
    custom_objects: Mapping[str, Any] | None,
) -> keras.Model:
    weights = unpacked / keras_archive.WEIGHTS
    config = read_json(unpacked / keras_archive.CONFIG)
    if config.get("class_name") in ("Functional", "Sequential"):
        raise CheckpointError(
            "Expected a model of this library. For a plain Keras model, in a "
            "file that you trust, use `keras.models.load_model`. "
            f"Received: class_name={config['class_name']!r}"
        )
    check_config(config, os.fspath(path), custom_objects)
    check_sizes(
        config,
        os.fspath(path),
        _size_rules(config, custom_objects),
        weights.stat().st_size,
    )
    model = _build(config, custom_objects)
    assets = unpacked / keras_archive.ASSETS
    if assets.is_dir():
        # Assets come first: they tell whether to build the optimizer.
        load_state(model, assets=str(assets))
    load_validated(
        model, [weights], lambda: load_state(model, weights=str(weights))
    )
    return model


def _size_rules(
    config: Config, custom_objects: Mapping[str, Any] | None
) -> list[SizeRules]:
    """The rules of the families whose classes a configuration names."""
    registered = {
        **keras.saving.get_custom_objects(),
        **(custom_objects or {}),
    }
    rules: dict[str, SizeRules] = {}
    for part in walk(config):
        if isinstance(part, str) and part in registered:
            cls = getattr(registered[part], "backbone_cls", registered[part])
            family = getattr(cls, "family", None)
            if isinstance(family, Family):
                rules[family.name] = family.size_rules
    return [*rules.values()]


def _build(
    config: Config, custom_objects: Mapping[str, Any] | None
) -> keras.Model:
    with ObjectSharingScope():
        model = keras.saving.deserialize_keras_object(
            config, custom_objects=custom_objects, safe_mode=True
        )
    if not isinstance(model, keras.Model):
        raise CheckpointError(
            f"Expected a model. Received: {type(model).__name__}"
        )
    return model
