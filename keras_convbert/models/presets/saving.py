"""Saves models, tokenizers and preprocessors as presets.

KerasHub writes the files, so that its classes can load them. This module makes
the write atomic, removes files of an older preset in the same folder, and adds
a model card.
"""

import contextlib
import contextvars
import json
import math
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_convbert.compat import is_saving_model
from keras_convbert.files import AnyPath
from keras_convbert.files import merge_into_folder
from keras_convbert.full_disk import check_space
from keras_convbert.models.presets.family import task_classes
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import METADATA_FILE
from keras_convbert.models.presets.files import TASK_FILE
from keras_convbert.models.presets.model_card import CARD_FILE
from keras_convbert.models.presets.model_card import is_written_by_us
from keras_convbert.models.presets.model_card import model_card
from keras_convbert.version import __version__

# Bytes of a name and a group in an HDF5 file.
PER_WEIGHT = 4096
# Files of a previous model that are removed.
STALE = (TASK_FILE, "*.weights.h5", "*.weights.json")

_is_saving_preset = contextvars.ContextVar("is_saving_preset", default=False)


def has_asset_files() -> bool:
    """Whether the config that is made now is stored next to asset files."""
    return _is_saving_preset.get() or is_saving_model()


def save_model(
    model: Any, preset_dir: AnyPath, save: Callable[[str], None]
) -> None:
    """Saves a backbone or a task.

    Args:
        model: the model.
        preset_dir: path of the folder.
        save: function. Writes the model to a folder in the KerasHub format.
    """
    with merge_into_folder(preset_dir, CONFIG_FILE, STALE) as folder:
        check_space(preset_dir, _bytes(model))
        with _saving_preset():
            save(str(folder))
        _amend(folder / METADATA_FILE, getattr(model, "backbone", model))
        (folder / CARD_FILE).write_text(model_card(model), encoding="utf-8")
        if _is_edited(pathlib.Path(preset_dir) / CARD_FILE):
            (folder / CARD_FILE).unlink()


def save_part(
    preset_dir: AnyPath, file: str, save: Callable[[str], None]
) -> None:
    """Saves a tokenizer or a preprocessor; `file` is its config file."""
    with merge_into_folder(preset_dir, file) as folder:
        with _saving_preset():
            save(str(folder))


@contextlib.contextmanager
def _saving_preset() -> Iterator[None]:
    token = _is_saving_preset.set(True)
    try:
        yield
    finally:
        _is_saving_preset.reset(token)


def _bytes(model: Any) -> int:
    """Returns about the size of the weights in a file."""
    return sum(
        math.prod(weight.shape) * np.dtype(weight.dtype).itemsize + PER_WEIGHT
        for weight in model.weights
    )


def _amend(path: pathlib.Path, backbone: Any) -> None:
    """Corrects the task names in the metadata, where KerasHub lists bases."""
    cls = type(backbone)
    prefix = cls.__name__.removesuffix("Backbone")
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["tasks"] = sorted(
        {task.__name__.removeprefix(prefix) for task in task_classes(cls)}
    )
    metadata["keras_convbert_version"] = __version__
    path.write_text(json.dumps(metadata, indent=4), encoding="utf-8")


def _is_edited(card: pathlib.Path) -> bool:
    return card.exists() and not is_written_by_us(
        card.read_text(encoding="utf-8", errors="replace")
    )
