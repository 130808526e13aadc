import warnings
from typing import Any

import keras_hub

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.models.convbert.transformers import sentence_modules
from keras_convbert.models.convbert.transformers import tokenizer
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.config import (
    backbone_arguments,
)
from keras_convbert.models.convbert.transformers.files import is_transformers
from keras_convbert.models.convbert.transformers.files import open_arrays
from keras_convbert.models.convbert.transformers.head import head_arguments
from keras_convbert.models.convbert.transformers.head import our_class_name
from keras_convbert.models.convbert.transformers.head_settings import (
    check_head_settings,
)
from keras_convbert.models.convbert.transformers.head_settings import (
    check_pad_token_id,
)
from keras_convbert.models.convbert.transformers.weights import assign_weights
from keras_convbert.models.convbert.transformers.weights import (
    checkpoint_has_head,
)
from keras_convbert.models.convbert.transformers.weights import encoder_table
from keras_convbert.models.convbert.transformers.weights import head_table
from keras_convbert.models.presets.backbone_loading import weights_to_load
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.foreign_format import ForeignFormat
from keras_convbert.models.presets.preprocessor_loading import task_preprocessor
from keras_convbert.models.presets.preset import Preset
from keras_convbert.models.presets.size_limits import MAX_LAYERS
from keras_convbert.models.presets.task_loading import check_head_size
from keras_convbert.models.presets.task_loading import head_weights
from keras_convbert.models.presets.task_loading import reuses_saved_head
from keras_convbert.types import Config

EMBEDDER = "text_embedder"


class TransformersFormat(ForeignFormat):
    """The format of Hugging Face `transformers` folders with a ConvBERT."""

    name = "huggingface"

    def recognizes(self, preset: Preset) -> bool:
        return is_transformers(preset)

    def recognizes_tokenizer(self, preset: Preset) -> bool:
        return tokenizer.holds_tokenizer_alone(preset)

    def has_tokenizer(self, preset: Preset) -> bool:
        return tokenizer.has_tokenizer(preset)

    def load_backbone(
        self,
        cls: type[Any],
        preset: Preset,
        load_weights: bool,
        arguments: dict[str, Any],
    ) -> Any:
        source = open_arrays(preset) if load_weights else None
        backbone = _make_backbone(cls, preset, source, arguments)
        if source is not None:
            assign_weights(source, backbone)
        return backbone

    def load_task(
        self,
        cls: type[Any],
        preset: Preset,
        load_weights: bool,
        arguments: dict[str, Any],
    ) -> tuple[Any, bool]:
        source = open_arrays(preset) if load_weights else None
        head = _head_arguments(cls, preset, source)
        has_head = False
        if head is not None and reuses_saved_head(head, arguments):
            arguments = {**head, **arguments}
            has_head = True
        else:
            check_head_size(cls, preset, arguments)
        arguments = {**_other_arguments(cls, preset), **arguments}
        task_preprocessor(cls, preset, arguments)
        dtype = {"dtype": arguments.pop("dtype", None)}
        backbone = _make_backbone(cls.backbone_cls, preset, source, dtype)
        with weights_to_load(has_head and load_weights):
            task = cls(backbone=backbone, **arguments)
        if source is not None:
            is_embedder = cls.task_kind == EMBEDDER
            head_and_kind = (
                (head_weights(task), our_class_name(cls))
                if has_head and not is_embedder
                else ()
            )
            assign_weights(source, backbone, *head_and_kind)
            if has_head and is_embedder:
                sentence_modules.assign_projection(preset, head_weights(task))
        return task, has_head

    def tokenizer_arguments(
        self,
        preset: Preset,
        vocabulary: Any = None,
        lowercase: bool | None = None,
    ) -> dict[str, Any]:
        arguments = tokenizer.tokenizer_arguments(preset, vocabulary, lowercase)
        check_pad_token_id(preset.read(CONFIG_FILE), arguments["vocabulary"])
        if lowercase is not None:
            return arguments
        return {
            **arguments,
            **sentence_modules.tokenizer_arguments(preset, arguments),
        }

    def model_folder(self, preset: Preset) -> str:
        return sentence_modules.model_folder(preset)

    def sequence_length(
        self, cls: type[Any], preset: Preset, default: int
    ) -> int:
        config = preset.read(CONFIG_FILE)
        if issubclass(cls, keras_hub.models.TextEmbedderPreprocessor):
            default = sentence_modules.sequence_length(preset) or default
        limits = (
            default,
            config.get(
                "max_position_embeddings",
                names.HF_DEFAULTS["max_sequence_length"],
            ),
            tokenizer.max_sequence_length(preset),
        )
        return min(limit for limit in limits if limit is not None)

    def class_name(self, preset: Preset) -> str:
        if sentence_modules.has_modules(preset):
            return "ConvBertTextEmbedder"
        theirs = _class_names(preset.read(CONFIG_FILE))
        found = [ours for ours, n in names.HF_CLASSES.items() if n in theirs]
        if theirs and not found:
            warnings.warn(
                f"No class supports the head of {theirs}. Only the encoder is "
                "loaded.",
                stacklevel=5,
            )
        return found[0] if found else "ConvBertBackbone"

    def weight_mappings(
        self, preset: Preset
    ) -> tuple[ArraySource, list[WeightMapping]]:
        config = preset.read(CONFIG_FILE)
        groups = config.get("num_groups") or config.get("linear_groups") or 1
        encoder = [
            mapping
            for prefix in ("", names.HF_ENCODER)
            for mapping in encoder_table(MAX_LAYERS, groups, prefix)
        ]
        heads = [
            mapping for kind in names.HF_HEADS for mapping in head_table(kind)
        ]
        return open_arrays(preset), encoder + heads


def _class_names(config: Config) -> list[str]:
    """Returns the `transformers` classes that a config names."""
    return [
        name.replace(names.PORT_CLASS_PREFIX, names.HF_CLASS_PREFIX, 1)
        for name in config.get("architectures") or []
    ]


def _head_arguments(
    cls: type[Any], preset: Preset, source: ArraySource | None
) -> dict[str, Any] | None:
    """Returns the arguments of the head in the preset, `None` without one."""
    if cls.task_kind == EMBEDDER:
        return sentence_modules.projection_arguments(preset)
    kind = our_class_name(cls)
    if not source or not kind or not checkpoint_has_head(source, kind):
        return None
    config = preset.read(CONFIG_FILE)
    other = names.HF_SAME_ARRAYS.get(kind)
    if other is not None and names.HF_CLASSES[other] in _class_names(config):
        return None
    check_head_settings(kind, source, config)
    return head_arguments(kind, source, config)


def _other_arguments(cls: type[Any], preset: Preset) -> dict[str, Any]:
    if cls.task_kind == EMBEDDER:
        return sentence_modules.pooling_arguments(preset)
    return {}


def _make_backbone(
    cls: type[Any],
    preset: Preset,
    source: ArraySource | None,
    arguments: dict[str, Any],
) -> Any:
    found = backbone_arguments(preset.read(CONFIG_FILE), source)
    with weights_to_load(source is not None):
        return cls(**{**found, "mask_conv": False, **arguments})
