import os
import pathlib
from typing import Any

import keras

from keras_convbert.checkpoints.json_file import MAX_BYTES
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.plain_names import check_inside
from keras_convbert.compat import check_file_exists
from keras_convbert.compat import get_file
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.types import Config

CONFIG_FILE = "config.json"
TASK_FILE = "task.json"
TASK_WEIGHTS_FILE = "task.weights.h5"
PREPROCESSOR_FILE = "preprocessor.json"
TOKENIZER_FILE = "tokenizer.json"


def find(preset: str, name: str) -> pathlib.Path | None:
    """Where a file of a preset is, `None` if it has none of that name.

    Raises:
        CheckpointError: if it is a link that leads out of the preset.
        ValueError: if there is no such preset.
    """
    if "://" not in preset and not os.path.isdir(preset):
        raise ValueError(
            "Expected a folder, a handle as 'hf://user/model' or "
            "'kaggle://user/model/keras/variant', or a name of "
            f"{[*ARCHITECTURES]}. Received: preset={preset!r}"
        )
    if not check_file_exists(preset, name):
        if os.path.islink(os.path.join(preset, name)):
            check_inside(preset, os.path.join(preset, name))
        return None
    path = pathlib.Path(get_file(preset, name))
    check_inside(path.parents[name.count("/")], path)
    return path


def read(preset: str, name: str, max_bytes: int = MAX_BYTES) -> Config:
    """The dict in a file of JSON, empty if there is none.

    Raises:
        CheckpointError: if it is damaged or larger than `max_bytes`.
    """
    path = find(preset, name)
    return {} if path is None else read_json(path, max_bytes)


def is_of(preset: str, name: str, cls: type[Any]) -> bool:
    """Whether a file of a preset describes an object of this class."""
    registered = read(preset, name).get("registered_name")
    return bool(registered == keras.saving.get_registered_name(cls))
