"""How models and what feeds them are saved as presets.

Through KerasHub's own, so that its classes load them, but whole or not at all,
without what an older preset of the same folder left, and with a card.
"""

import inspect
import json
import pathlib
from typing import Any

import keras
import keras_hub

from keras_convbert.files import AnyPath
from keras_convbert.files import merge_into_folder
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import PREPROCESSOR_FILE
from keras_convbert.models.presets.files import TASK_FILE
from keras_convbert.models.presets.files import TOKENIZER_FILE
from keras_convbert.models.presets.model_card import CARD_FILE
from keras_convbert.models.presets.model_card import is_written_by_us
from keras_convbert.models.presets.model_card import model_card
from keras_convbert.version import __version__

METADATA_FILE = "metadata.json"
# Of the model that was there before.
STALE = (TASK_FILE, "*.weights.h5", "*.weights.json")


def save_model(
    self: Any, preset_dir: AnyPath, max_shard_size: float = 10
) -> None:
    """Saves the model as a preset, for `from_preset`.

    Configuration, weights and a card, `README.md`, which stays if it was
    edited; the tokenizer, if the model is a task with a preprocessor; not what
    an optimizer has learnt. What LoRA learnt is added to the kernels. All is
    written under a temporary name and then moved.

    Args:
        preset_dir: path of the folder. A model in it is replaced; a tokenizer
            or preprocessor that was saved there stays.
        max_shard_size: float. Size in GB from which on the weights of the
            backbone are cut into several files. Defaults to `10`.
    """
    kinds = (keras_hub.models.Task, keras_hub.models.Backbone)
    kind = next(kind for kind in kinds if isinstance(self, kind))
    with merge_into_folder(preset_dir, CONFIG_FILE, STALE) as folder:
        kind.save_to_preset(self, str(folder), max_shard_size=max_shard_size)
        _amend(folder / METADATA_FILE, getattr(self, "backbone", self))
        (folder / CARD_FILE).write_text(model_card(self), encoding="utf-8")
        if _is_edited(pathlib.Path(preset_dir) / CARD_FILE):
            (folder / CARD_FILE).unlink()


def save_tokenizer(self: Any, preset_dir: AnyPath) -> None:
    """Saves the tokenizer as a preset, for `from_preset`.

    Args:
        preset_dir: path of the folder. What else was saved there stays.
    """
    with merge_into_folder(preset_dir, TOKENIZER_FILE) as folder:
        keras_hub.tokenizers.Tokenizer.save_to_preset(self, str(folder))


def save_preprocessor(self: Any, preset_dir: AnyPath) -> None:
    """Saves the preprocessor and its tokenizer as a preset, for `from_preset`.

    Args:
        preset_dir: path of the folder. What else was saved there stays.
    """
    with merge_into_folder(preset_dir, PREPROCESSOR_FILE) as folder:
        keras_hub.models.Preprocessor.save_to_preset(self, str(folder))


def _amend(path: pathlib.Path, backbone: keras_hub.models.Backbone) -> None:
    """Corrects the metadata: KerasHub takes each task's first base for it."""
    tasks = {
        task.__name__.removeprefix("ConvBert")
        for task in keras.saving.get_custom_objects().values()
        if inspect.isclass(task)
        and issubclass(task, keras_hub.models.Task)
        and getattr(task, "backbone_cls", None) is type(backbone)
    }
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["tasks"] = sorted(tasks)
    metadata["keras_convbert_version"] = __version__
    path.write_text(json.dumps(metadata, indent=4), encoding="utf-8")


def _is_edited(card: pathlib.Path) -> bool:
    return card.exists() and not is_written_by_us(
        card.read_text(encoding="utf-8", errors="replace")
    )
