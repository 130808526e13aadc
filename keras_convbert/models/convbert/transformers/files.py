"""Finds and reads the files of a Hugging Face folder."""

import pathlib
import re

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.hdf5_file import Hdf5File
from keras_convbert.checkpoints.plain_names import check_plain_name
from keras_convbert.checkpoints.safetensors_files import SafetensorsFiles
from keras_convbert.checkpoints.shard_index import MAX_INDEX_BYTES
from keras_convbert.checkpoints.torch_files import TorchFiles
from keras_convbert.checkpoints.translated_arrays import TranslatedArrays
from keras_convbert.checkpoints.translated_arrays import Translation
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.preset import Preset
from keras_convbert.types import Config

MODEL_TYPES = ("convbert", "conv_bert")
PORT_MODEL_TYPE = "electra"
SAFETENSORS = "model.safetensors"
TORCH = "pytorch_model.bin"
HDF5 = "tf_model.h5"
KINDS: dict[str, type[SafetensorsFiles] | type[TorchFiles]] = {
    SAFETENSORS: SafetensorsFiles,
    TORCH: TorchFiles,
}


def is_transformers(preset: Preset) -> bool:
    """Whether `preset` holds a Hugging Face ConvBERT.

    Raises:
        ValueError: if it holds another model or an unknown format.
    """
    config = preset.read(CONFIG_FILE)
    if "registered_name" in config or not config:
        return False
    if "model_type" not in config:
        raise CheckpointError(
            f"Expected {CONFIG_FILE!r} in the format of KerasHub, with a "
            '"registered_name", or of Hugging Face, with a "model_type". '
            f"Received: neither in preset={preset.handle!r}"
        )
    if config["model_type"] in MODEL_TYPES or is_port(config):
        return True
    received = f"model_type={config['model_type']!r}"
    if config["model_type"] == PORT_MODEL_TYPE:
        received += (
            f" without the keys {[*names.HF_OLDER_ARGUMENTS]} of the earlier "
            "port of ConvBERT,"
        )
    raise ValueError(
        f'Expected a ConvBERT with "model_type" {MODEL_TYPES[0]!r}. '
        f"Received: {received} in preset={preset.handle!r}"
    )


def is_port(config: Config) -> bool:
    """Whether `config` is of the port that preceded that in `transformers`.

    It names itself ELECTRA. An ELECTRA has no groups and no head ratio.
    """
    return config.get("model_type") == PORT_MODEL_TYPE and (
        names.HF_OLDER_ARGUMENTS.keys() <= config.keys()
    )


def open_arrays(preset: Preset) -> ArraySource:
    """Returns the weight arrays under their current `transformers` names.

    Raises:
        FileNotFoundError: if there is no weights file.
        CheckpointError: if a weights file cannot be read.
    """
    for name, kind in KINDS.items():
        paths = _paths(preset, name)
        if paths:
            return TranslatedArrays(kind(paths), _from_torch)
    path = preset.find(HDF5)
    if path is not None:
        return TranslatedArrays(Hdf5File(path), _from_hdf5)
    raise FileNotFoundError(
        f"Expected weights in one of the files {[*KINDS, HDF5]}. "
        f"Received: preset={preset.handle!r}"
    )


def _paths(preset: Preset, name: str) -> list[pathlib.Path]:
    """Returns the file named `name`, or the shards that its index lists."""
    path = preset.find(name)
    if path is not None:
        return [path]
    index = f"{name}.index.json"
    path = preset.find(index)
    if path is None:
        return []
    shards = preset.read(index, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise CheckpointError(
            f'Expected a "weight_map" that lists the weights files. '
            f"Received: {index!r} of preset={preset.handle!r}"
        )
    for shard in shards.values():
        check_plain_name(path.parent, shard)
    found = [preset.find(shard) for shard in sorted(set(shards.values()))]
    if None in found:
        raise CheckpointError(
            f"Expected all files that {index!r} lists. "
            f"Received: preset={preset.handle!r}, which lacks some of them"
        )
    return [path for path in found if path is not None]


def _from_torch(name: str, rank: int) -> Translation:
    for pattern, replacement in names.HF_RENAMED:
        name = re.sub(pattern, replacement, name)
    return name, tuple(range(rank))


def _from_hdf5(name: str, rank: int) -> Translation | None:
    if name.split("/")[0] == "top_level_model_weights":
        return None
    # The name is "<layer>/<model>/<path>".
    path = name.split("/", 2)[-1].removesuffix(":0")
    axes: tuple[int | None, ...] = tuple(range(rank))
    if path.endswith("/depthwise_kernel"):
        axes = (1, 2, 0)
    elif path.endswith("kernel"):
        axes = axes[::-1]
    elif path.endswith("key_conv_attn_layer/bias"):
        axes = (0, None)
    for pattern, replacement in names.H5_RENAMED:
        path = re.sub(pattern, replacement, path)
    return path.replace("/", "."), axes
