import warnings
from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.models.convbert.transformers import tokenizer
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.config import (
    backbone_arguments,
)
from keras_convbert.models.convbert.transformers.files import is_transformers
from keras_convbert.models.convbert.transformers.files import open_arrays
from keras_convbert.models.convbert.transformers.head import head_arguments
from keras_convbert.models.convbert.transformers.head import our_class_name
from keras_convbert.models.convbert.transformers.weights import assign_weights
from keras_convbert.models.convbert.transformers.weights import (
    checkpoint_has_head,
)
from keras_convbert.models.convbert.transformers.weights import encoder_table
from keras_convbert.models.convbert.transformers.weights import head_table
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.foreign_format import ForeignFormat
from keras_convbert.models.presets.preprocessor_loading import task_preprocessor
from keras_convbert.models.presets.preset import Preset
from keras_convbert.models.presets.size_limits import MAX_LAYERS
from keras_convbert.models.presets.task_loading import check_head_size
from keras_convbert.models.presets.task_loading import head_weights
from keras_convbert.models.presets.task_loading import reuses_saved_head


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
        config = preset.read(CONFIG_FILE)
        source = open_arrays(preset) if load_weights else None
        kind = our_class_name(cls)
        arguments = dict(arguments)
        has_head = False
        if (
            source is not None
            and kind is not None
            and checkpoint_has_head(source, kind)
        ):
            head = head_arguments(kind, source, config)
            if reuses_saved_head(head, arguments):
                arguments = {**head, **arguments}
                has_head = True
        if not has_head:
            check_head_size(cls, preset, arguments)
        task_preprocessor(cls, preset, arguments)
        dtype = {"dtype": arguments.pop("dtype", None)}
        backbone = _make_backbone(cls.backbone_cls, preset, source, dtype)
        task = cls(backbone=backbone, **arguments)
        if source is not None:
            head_and_kind = (head_weights(task), kind) if has_head else ()
            assign_weights(source, backbone, *head_and_kind)
        return task, has_head

    def tokenizer_arguments(
        self,
        preset: Preset,
        vocabulary: Any = None,
        lowercase: bool | None = None,
    ) -> dict[str, Any]:
        return tokenizer.tokenizer_arguments(preset, vocabulary, lowercase)

    def max_sequence_length(self, preset: Preset) -> int | None:
        limits = (
            preset.read(CONFIG_FILE).get("max_position_embeddings"),
            tokenizer.max_sequence_length(preset),
        )
        return min((n for n in limits if n is not None), default=None)

    def class_name(self, preset: Preset) -> str:
        theirs = preset.read(CONFIG_FILE).get("architectures") or []
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


def _make_backbone(
    cls: type[Any],
    preset: Preset,
    source: ArraySource | None,
    arguments: dict[str, Any],
) -> Any:
    found = backbone_arguments(preset.read(CONFIG_FILE), source)
    return cls(**{**found, "mask_conv": False, **arguments})
