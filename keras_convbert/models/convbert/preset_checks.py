"""What a preset must be before KerasHub gets it."""

import os
import pathlib

from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.plain_names import check_plain_name
from keras_convbert.checkpoints.safe_config import check_config
from keras_convbert.models.convbert.preset_files import CONFIG_FILE
from keras_convbert.models.convbert.preset_files import PREPROCESSOR_FILE
from keras_convbert.models.convbert.preset_files import TASK_FILE
from keras_convbert.models.convbert.preset_files import TOKENIZER_FILE
from keras_convbert.models.convbert.preset_files import find
from keras_convbert.models.convbert.safe_weights import read_weight_map
from keras_convbert.models.convbert.safe_weights import shard_names
from keras_convbert.models.convbert.size_limits import check_sizes

CONFIGS = (CONFIG_FILE, TASK_FILE, PREPROCESSOR_FILE, TOKENIZER_FILE)
WEIGHTS = ("model.weights.h5", "task.weights.h5")
SHARDS = "model.weights.json"
ASSETS = ("assets/tokenizer/vocabulary.txt",)


def check_preset(
    preset: str, load_weights: bool = True, needed: str = CONFIG_FILE
) -> None:
    """Refuses a preset whose files may do harm, or that lacks one.

    Args:
        preset: string. A folder, or a handle of a hub, whose files are
            fetched.
        load_weights: bool. Whether weights will be loaded. Defaults to
            `True`.
        needed: string. The file that there must be.

    Raises:
        FileNotFoundError: if `needed` is not there.
        CheckpointError: if a configuration is damaged, names a class that is
            not ours, or describes a model larger than the weights; if a link
            or a name leads out of the folder. Weights themselves are checked
            where they are loaded.
    """
    if find(preset, needed) is None:
        raise FileNotFoundError(
            f"Expected a file {needed!r}. Received: preset={preset!r}"
        )
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
