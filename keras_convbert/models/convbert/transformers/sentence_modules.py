"""Reads the modules of a sentence-transformers folder.

`modules.json` lists them: the encoder, in the folder itself or in
`0_Transformer/`, then pooling, an optional dense layer and an optional
normalization, each with its settings in a folder.
"""

import warnings
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

import keras

from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.checkpoints.assignment import assign_arrays
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json_list
from keras_convbert.checkpoints.plain_names import check_plain_name
from keras_convbert.models.convbert.transformers import sentence_names as names
from keras_convbert.models.convbert.transformers.files import open_arrays
from keras_convbert.models.convbert.transformers.weight_names import HF_DEFAULTS
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.preset import Preset
from keras_convbert.types import Config

TOKENIZER_CONFIG_FILE = "tokenizer_config.json"


class SentenceModule(NamedTuple):
    """An entry of `modules.json`."""

    kind: str
    """The name of the class."""
    folder: str
    """The folder of its settings; `""` is the folder of `modules.json`."""


def has_modules(preset: Preset) -> bool:
    """Whether the preset is a sentence-transformers folder."""
    return preset.root.find(names.MODULES_FILE) is not None


def model_folder(preset: Preset) -> str:
    """Returns the folder inside of `preset` that holds the encoder, or `""`.

    Raises:
        CheckpointError: if `modules.json` is damaged, or names a folder
            elsewhere.
    """
    return next(
        (
            module.folder
            for module in _listed(preset)
            if module.kind == names.TRANSFORMER
        ),
        "",
    )


def pooling_arguments(preset: Preset) -> dict[str, Any]:
    """Returns `pooling` and `normalize` of `ConvBertTextEmbedder`.

    Without `modules.json` it returns `{}`.

    Raises:
        ValueError: if the vectors need a module or a setting that
            `ConvBertTextEmbedder` does not have.
    """
    modules = _checked(preset)
    if not modules:
        return {}
    _check_prompts(preset)
    _settings(preset, names.TRANSFORMER, preset.read(names.TEXT_CONFIG_FILE))
    config = _module_config(preset, modules[names.POOLING])
    width = preset.read(CONFIG_FILE).get(
        "hidden_size", HF_DEFAULTS["hidden_dim"]
    )
    if config.get("word_embedding_dimension", width) != width:
        raise ValueError(
            "Expected 'word_embedding_dimension' of the pooling to be the "
            f"'hidden_size' of the encoder, {width}. Received: "
            f"word_embedding_dimension={config['word_embedding_dimension']!r} "
            f"in preset={preset.handle!r}"
        )
    if names.NORMALIZE in modules:
        _module_config(preset, modules[names.NORMALIZE])
    return {
        "pooling": _pooling(config, preset),
        "normalize": names.NORMALIZE in modules,
    }


def projection_arguments(preset: Preset) -> dict[str, Any] | None:
    """Returns the projection arguments of `ConvBertTextEmbedder`.

    It returns `None` if the preset has no dense layer.

    Raises:
        ValueError: if the activation is not supported.
    """
    modules = _checked(preset)
    if names.DENSE not in modules:
        return None
    config = _module_config(preset, modules[names.DENSE])
    theirs = config.get("activation_function", names.DENSE_ACTIVATION)
    if theirs not in names.DENSE_ACTIVATIONS:
        raise ValueError(
            "Expected the activation of the dense module to be one of "
            f"{[*names.DENSE_ACTIVATIONS]}. "
            f"Received: activation_function={theirs!r}"
        )
    return {
        "projection_dim": config.get("out_features"),
        "projection_activation": names.DENSE_ACTIVATIONS[theirs],
    }


def assign_projection(
    preset: Preset, variables: Iterable[keras.Variable]
) -> None:
    """Loads the dense layer. A layer without a bias gets a bias of zeros."""
    folder = preset.root.subfolder(_checked(preset)[names.DENSE].folder)
    table = [WeightMapping(*entry) for entry in names.DENSE_WEIGHTS]
    source = open_arrays(folder)
    if folder.read(names.MODULE_CONFIG_FILE).get("bias") is False:
        absent = {m.path for m in table if m.name not in source.shapes}
        variables = [v for v in variables if v.path not in absent]
    assign_arrays(source, variables, table)


def sequence_length(preset: Preset) -> int | None:
    """Returns the length to which the library truncates, `None` without one."""
    if not has_modules(preset):
        return None
    length = preset.read(names.TEXT_CONFIG_FILE).get("max_seq_length")
    if length is None:
        length = preset.read(TOKENIZER_CONFIG_FILE).get("model_max_length")
    return length


def tokenizer_arguments(preset: Preset, arguments: Config) -> Config:
    """Returns the tokenizer arguments that `do_lower_case` changes."""
    config = preset.read(names.TEXT_CONFIG_FILE)
    if not config.get("do_lower_case") or arguments["lowercase"]:
        return {}
    return {
        "lowercase": True,
        "strip_accents": bool(arguments["strip_accents"]),
    }


def _listed(preset: Preset) -> list[SentenceModule]:
    path = preset.root.find(names.MODULES_FILE)
    if path is None:
        return []
    modules = []
    for entry in read_json_list(path):
        fields = entry if isinstance(entry, dict) else {}
        kind, folder = fields.get("type"), fields.get("path")
        if not isinstance(kind, str) or not isinstance(folder, str):
            raise CheckpointError(
                'Expected each entry to have a "type" and a "path". '
                f"Received: {entry!r} in {str(path)!r}"
            )
        folder = folder.rstrip("/")
        if folder:
            check_plain_name(path.parent, folder)
        name = kind.rpartition(".")[-1]
        ours = kind.startswith(names.LIBRARY)
        modules.append(SentenceModule(name if ours else kind, folder))
    return modules


def _checked(preset: Preset) -> dict[str, SentenceModule]:
    """Returns the modules by kind; raises `ValueError` for other modules."""
    modules = _listed(preset)
    kinds = tuple(module.kind for module in modules)
    if modules and kinds not in names.MODULE_ORDERS:
        raise ValueError(
            f"Expected the modules of a text embedder, one of "
            f"{names.MODULE_ORDERS}. Received: {kinds} in "
            f"{names.MODULES_FILE!r} of preset={preset.handle!r}"
        )
    return {module.kind: module for module in modules}


def _module_config(preset: Preset, module: SentenceModule) -> Config:
    config: Config = {}
    if module.folder:
        folder = preset.root.subfolder(module.folder)
        config = folder.read(names.MODULE_CONFIG_FILE)
        if not config and module.kind != names.NORMALIZE:
            raise FileNotFoundError(
                f"Expected a file {names.MODULE_CONFIG_FILE!r} in the folder "
                f"{module.folder!r}. Received: preset={preset.handle!r}"
            )
    return _settings(preset, module.kind, config)


def _settings(preset: Preset, kind: str, config: Config) -> Config:
    """Refuses settings that are not supported, and warns of unknown ones."""
    for key, allowed in names.REQUIRED[kind].items():
        if config.get(key) not in allowed:
            raise ValueError(
                f"Expected {key!r} to be {allowed[0]!r} in the settings of "
                f"{kind!r}. Received: {key}={config[key]!r} in "
                f"preset={preset.handle!r}"
            )
    known = (
        names.UNDERSTOOD[kind]
        | names.WITHOUT_EFFECT[kind]
        | names.REQUIRED[kind].keys()
    )
    unknown = sorted(config.keys() - known)
    if unknown:
        warnings.warn(
            f"The settings of {kind!r} in preset={preset.handle!r} have "
            f"unknown keys. They are ignored: {unknown}",
            stacklevel=9,
        )
    return config


def _pooling(config: Config, preset: Preset) -> str:
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [
            m for flag, m in names.POOLING_FLAGS.items() if config.get(flag)
        ]
        modes = modes or ["mean"]
    elif isinstance(modes, str):
        modes = [modes]
    if len(modes) != 1 or modes[0] not in names.POOLING_MODES:
        raise ValueError(
            f"Expected one pooling mode of {[*names.POOLING_MODES]}. "
            f"Received: pooling_mode={modes} in preset={preset.handle!r}"
        )
    return names.POOLING_MODES[modes[0]]


def _check_prompts(preset: Preset) -> None:
    config = _settings(
        preset,
        names.MODEL_CONFIG_FILE,
        preset.root.read(names.MODEL_CONFIG_FILE),
    )
    prompts = config.get("prompts") or {}
    default = config.get("default_prompt_name")
    if default is not None:
        raise ValueError(
            "Expected no prompt that the library puts before each text. Set "
            "it to null in the file, and put the prompt before your texts. "
            f"Received: default_prompt_name={default!r}, with the prompt "
            f"{prompts.get(default)!r}, in {names.MODEL_CONFIG_FILE!r}"
        )
    used = {name: prompt for name, prompt in prompts.items() if prompt}
    if used:
        warnings.warn(
            f"{names.MODEL_CONFIG_FILE!r} names prompts that "
            f"`ConvBertTextEmbedder` does not apply: {used}. Put them before "
            "your texts.",
            stacklevel=8,
        )
