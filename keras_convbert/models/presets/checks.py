"""What a preset must be before KerasHub gets it."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.plain_names import check_plain_name
from keras_convbert.checkpoints.safe_config import check_config
from keras_convbert.checkpoints.shard_index import read_weight_map
from keras_convbert.checkpoints.shard_index import shard_names
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import PREPROCESSOR_FILE
from keras_convbert.models.presets.files import TASK_FILE
from keras_convbert.models.presets.files import TASK_WEIGHTS_FILE
from keras_convbert.models.presets.files import TOKENIZER_FILE
from keras_convbert.models.presets.files import find
from keras_convbert.models.presets.size_limits import check_sizes

CONFIGS = (CONFIG_FILE, TASK_FILE, PREPROCESSOR_FILE, TOKENIZER_FILE)
WEIGHTS = ("model.weights.h5", TASK_WEIGHTS_FILE)
SHARDS = "model.weights.json"
ASSETS = ("assets/tokenizer/vocabulary.txt",)


@contextlib.contextmanager
def preset_errors(preset: str, *also: type[Exception]) -> Iterator[None]:
    """Says of what a damaged file leads to that it comes from there.

    Args:
        preset: string. Where the file is.
        *also: other kinds of errors that it may lead to.

    Raises:
        CheckpointError: if a value of a file is of another kind than it ought
            to be, whatever Python made of it.
    """
    kinds: tuple[type[Exception], ...] = (
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,
        *also,
    )
    try:
        yield
    except CheckpointError:
        raise
    except kinds as error:
        raise CheckpointError(
            f"Cannot load preset={preset!r}. {type(error).__name__}: {error}"
        ) from error


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
        remote = "://" in preset
        where = ", of a hub that has none or is not reached" if remote else ""
        raise FileNotFoundError(
            f"Expected a file {needed!r}. Received: preset={preset!r}{where}"
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
