from collections.abc import Mapping
from typing import Any
from typing import ClassVar
from typing import Self

import keras_hub

from keras_convbert.compat import ClonesFromConfig
from keras_convbert.compat import classproperty
from keras_convbert.files import AnyPath
from keras_convbert.models.base.checked_weights import CheckedWeights
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.base.layer_costs import LayerCost
from keras_convbert.models.base.lora_weights import LoraWeights
from keras_convbert.models.base.merged_quantization import MergedQuantization
from keras_convbert.models.base.resized_embeddings import ResizesTokenEmbeddings
from keras_convbert.models.presets.backbone_loading import load_backbone
from keras_convbert.models.presets.family import Family
from keras_convbert.models.presets.family import register_backbone
from keras_convbert.models.presets.saving import save_model
from keras_convbert.types import Config


class Backbone(
    ResizesTokenEmbeddings,
    LoraWeights,
    MergedQuantization,
    CheckedWeights,
    ClonesFromConfig,
    keras_hub.models.Backbone,
):
    """Base of the backbones of all families.

    A subclass sets `family`, and has the attributes `vocabulary_size` and
    `max_sequence_length`. Its input is a dict of `token_ids`, `padding_mask`
    and optionally `segment_ids`, each of shape `(batch, length)`. Its output
    is a dict of tensors.
    """

    family: ClassVar[Family]
    task_kind: ClassVar[str] = "backbone"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "family" in vars(cls):
            register_backbone(cls)

    @property
    def padding_margin(self) -> int:
        """Number of padded positions after a text that change its vectors.

        Padding beyond them can be removed from a batch.
        """
        return 0

    @classproperty
    def presets(cls) -> Config:
        """The built-in presets by name: architectures without weights."""
        return {
            name: {
                "metadata": {
                    "description": f"{found['description']}. Architecture "
                    "only, needs `load_weights=False`.",
                    "params": found["params"],
                    "path": cls.family.name,
                }
            }
            for name, found in cls.family.architectures.items()
        }

    @classmethod
    def from_preset(
        cls,
        preset: AnyPath,
        load_weights: bool = True,
        custom_objects: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Makes a backbone from a preset.

        Args:
            preset: path or string. A folder in the format of KerasHub, which
                `save_to_preset` writes, or of Hugging Face `transformers`;
                the handle of such a folder on a hub, such as
                `"hf://user/model"`; or the name of an architecture in
                `presets`.
            load_weights: bool. Whether to load weights. Architectures have
                none and require `False`. Defaults to `True`.
            custom_objects: dict of classes and functions outside of this
                library that the preset may name. This class, and the classes
                that it uses, need no entry. Defaults to `None`.
            **kwargs: arguments that replace those of the preset.

        Returns:
            The backbone.

        Raises:
            CheckpointError: if a file of the preset is damaged or untrusted,
                or does not fit the model. It is a `ValueError`.
            FileNotFoundError: if a file of the preset is missing.
            ValueError: if weights are requested for an architecture, or the
                preset holds another model.
        """
        backbone: Self = load_backbone(
            cls, preset, load_weights, kwargs, custom_objects
        )
        return backbone

    def save_to_preset(
        self, preset_dir: AnyPath, max_shard_size: float = 10
    ) -> None:
        """Saves the backbone as a preset, for `from_preset`.

        It writes the configuration, the weights with LoRA merged, and the
        model card `README.md`; an edited model card is kept. Files are written
        to a temporary name and then moved.

        Args:
            preset_dir: path of the folder. A model in it is replaced; a saved
                tokenizer or preprocessor is kept.
            max_shard_size: float. Size in GB above which the weights are
                stored in several files. Defaults to `10`.
        """
        save = super().save_to_preset
        save_model(
            self,
            preset_dir,
            lambda folder: save(folder, max_shard_size=max_shard_size),
        )

    @classmethod
    def layer_costs(
        cls,
        config: Config,
        length: int,
        size: ElementBytes,
        dense_lookup: bool = False,
        prefix: str = "",
    ) -> list[LayerCost]:
        """Returns the parameters, FLOPs and activations of each layer.

        Args:
            config: dict. All arguments of the backbone.
            length: int. Number of tokens per sequence.
            size: `ElementBytes`. Bytes per stored element.
            dense_lookup: bool. Whether embedding lookups count as matrix
                products with the whole table. Defaults to `False`.
            prefix: string. Prefix of the layer names. Defaults to `""`.

        Returns:
            A list of `LayerCost`, in the order of execution.

        Raises:
            NotImplementedError: if the family does not implement it.
        """
        raise NotImplementedError(
            f"Expected a backbone class that implements `layer_costs`. "
            f"Received: cls={cls.__name__}"
        )
