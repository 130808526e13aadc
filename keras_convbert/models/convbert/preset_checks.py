"""What a preset must be before KerasHub gets it."""

import os
import pathlib
from typing import Any

import keras_hub

from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.plain_names import check_plain_name
from keras_convbert.checkpoints.safe_config import check_config
from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.models.convbert.preset_files import find
from keras_convbert.models.convbert.safe_weights import read_weight_map
from keras_convbert.models.convbert.safe_weights import shard_names
from keras_convbert.models.convbert.size_limits import check_sizes

CONFIGS = ("config.json", "task.json", "preprocessor.json", "tokenizer.json")
WEIGHTS = ("model.weights.h5", "task.weights.h5")
SHARDS = "model.weights.json"
ASSETS = ("assets/tokenizer/vocabulary.txt",)
KINDS = (
    keras_hub.tokenizers.Tokenizer,
    keras_hub.models.Preprocessor,
    keras_hub.models.Task,
)


def from_preset(cls: Any, /, preset: str, *args: Any, **kwargs: Any) -> Any:
    """Makes an object from a preset.

    Args:
        preset: string. A folder written by `save_to_preset`, or a handle of a
            hub.
        *args: arguments of KerasHub's `from_preset`.
        **kwargs: arguments of KerasHub's `from_preset`, and those that replace
            arguments of the preset.

    Returns:
        An object of this class.

    Raises:
        CheckpointError: if a file of the preset is damaged, or may do harm.
            It is a `ValueError`.
    """
    kind = next(kind for kind in KINDS if issubclass(cls, kind))
    weights = kind is keras_hub.models.Task
    check_preset(preset, kwargs.get("load_weights", weights))
    with safe_loading():
        return kind.from_preset.__func__(cls, preset, *args, **kwargs)


def check_preset(preset: str, load_weights: bool = True) -> None:
    """Refuses a preset whose files may do harm.

    Args:
        preset: string. A folder, or a handle of a hub, whose files are
            fetched.
        load_weights: bool. Whether weights will be loaded. Defaults to
            `True`.

    Raises:
        CheckpointError: if a configuration is damaged, names a class that is
            not ours, or describes a model larger than the weights; if a link
            or a name leads out of the folder. Weights themselves are checked
            where they are loaded.
    """
    configs = [p for name in CONFIGS if (p := find(preset, name))]
    weights = _weights(preset) if load_weights else []
    for name in ASSETS:
        find(preset, name)
    for path in configs:
        config = read_json(path)
        check_config(config, os.fspath(path))
        size = sum(file.stat().st_size for file in weights)
        check_sizes(config, os.fspath(path), size if weights else None)


def _weights(preset: str) -> list[pathlib.Path]:
    found = [p for name in WEIGHTS if (p := find(preset, name))]
    index = find(preset, SHARDS)
    if index is not None and index.with_name(WEIGHTS[0]) not in found:
        for name in shard_names(read_weight_map(index)):
            check_plain_name(index.parent, name)
            path = find(preset, name)
            if path is not None:
                found.append(path)
    return found
