import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import keras

from keras_convbert.checkpoints import keras_archive
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.keras_h5 import load_validated
from keras_convbert.checkpoints.safe_config import check_config
from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import ObjectSharingScope
from keras_convbert.compat import load_state
from keras_convbert.files import AnyPath
from keras_convbert.models.presets.size_limits import check_sizes
from keras_convbert.types import Config


def load_model(
    path: AnyPath, custom_objects: Mapping[str, Any] | None = None
) -> keras.Model:
    """Loads a `.keras` file that may be a stranger's.

    It gives what `keras.saving.load_model` gives, of files that hold a model
    of this library. It builds nothing but what is on a list of allowed
    classes: those of this library, and Keras's optimizers, losses, metrics and
    dtype policies; nothing larger than the file has weights for. It reads
    no other file, and leaves Keras's global settings as they are.

    Args:
        path: path of a file that `model.save` wrote.
        custom_objects: dict of names to classes or functions that the file may
            use besides. Their code runs, with arguments from the file.
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
            # Whatever a spoilt configuration leads to.
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
    check_config(config, os.fspath(path), custom_objects)
    check_sizes(config, os.fspath(path), weights.stat().st_size)
    model = _build(config, custom_objects)
    assets = unpacked / keras_archive.ASSETS
    if assets.is_dir():
        # They come first: an optimizer is built by what is among them.
        load_state(model, assets=str(assets))
    load_validated(
        model, [weights], lambda: load_state(model, weights=str(weights))
    )
    return model


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
