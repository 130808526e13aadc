"""Exports a backbone or a task as a folder for `transformers`."""

import json
import pathlib
import warnings
from collections.abc import Callable
from typing import Any
from typing import cast

import keras
import keras_hub
import numpy as np

from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder
from keras_convbert.files import write_text
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.config import (
    transformers_arguments,
)
from keras_convbert.models.convbert.transformers.head import our_class_name
from keras_convbert.models.convbert.transformers.sentence_export import (
    sentence_module_writer,
)
from keras_convbert.models.convbert.transformers.sequence_summary import (
    summary_settings,
)
from keras_convbert.models.convbert.transformers.tokenizer import (
    write_tokenizer,
)
from keras_convbert.models.convbert.transformers.weights import (
    arrays_for_transformers,
)
from keras_convbert.models.convbert.transformers.weights import encoder_table
from keras_convbert.models.convbert.transformers.weights import head_table
from keras_convbert.models.presets.model_card import CARD_FILE
from keras_convbert.models.presets.model_card import TODO
from keras_convbert.models.presets.model_card import front_matter
from keras_convbert.types import Config
from keras_convbert.types import Mixin
from keras_convbert.version import __version__

MASK_CONV = (
    "This model has `mask_conv=True`: it zeroes padded positions before the "
    "convolution. `transformers` lets padding leak into the convolution. The "
    "results for padded texts differ; the results for texts without padding "
    "are equal."
)


class ExportsBackbone(Mixin):
    """`export_to_transformers` of a backbone."""

    def export_to_transformers(
        self,
        path: AnyPath,
        strict: bool = False,
        tokenizer: keras_hub.tokenizers.Tokenizer | None = None,
    ) -> None:
        """Writes a folder that `transformers.ConvBertModel` loads.

        Args:
            path: path of the folder. It must be empty or not exist.
            strict: bool. Whether to raise an error instead of a warning if
                the results of `transformers` for padded texts differ
                (`mask_conv=True`). Defaults to `False`.
            tokenizer: a tokenizer to write to the same folder; `None` writes
                none. Defaults to `None`.

        Raises:
            ValueError: if a Hugging Face ConvBERT cannot represent the model,
                or its results differ and `strict` is true.
            FileExistsError: if `path` is a file or a folder with content.
            ImportError: if safetensors is not installed.
        """
        arrays = arrays_for_transformers(self, _encoder(self))
        _write(path, self, arrays, "ConvBertBackbone", {}, strict, tokenizer)


class ExportsTask(Mixin):
    """`export_to_transformers` of a task that `transformers` supports."""

    def export_to_transformers(
        self, path: AnyPath, strict: bool = False
    ) -> None:
        """Writes a folder that the `transformers` class of this task loads.

        It includes the tokenizer if the task has a preprocessor.

        Args:
            path: path of the folder. It must be empty or not exist.
            strict: bool. Whether to raise an error instead of a warning if
                the results of `transformers` for padded texts differ
                (`mask_conv=True`). Defaults to `False`.

        Raises:
            ValueError: if a Hugging Face ConvBERT cannot represent the model,
                or its results differ and `strict` is true.
            FileExistsError: if `path` is a file or a folder with content.
            ImportError: if safetensors is not installed.
        """
        kind = cast(str, our_class_name(type(self)))
        table = _encoder(self.backbone, names.HF_ENCODER) + head_table(kind)
        settings = _head_settings(self, kind)
        arrays = arrays_for_transformers(self, table)
        tokenizer = _tokenizer(self)
        _write(path, self.backbone, arrays, kind, settings, strict, tokenizer)


class ExportsEncoder(Mixin):
    """`export_to_transformers` of a task that `transformers` does not have."""

    def export_to_transformers(
        self, path: AnyPath, strict: bool = False
    ) -> None:
        """Writes the encoder as a folder for `transformers.ConvBertModel`.

        `transformers` has neither the generator nor the head for
        replaced-token detection. They are not exported, and a warning says so.
        The folder includes the tokenizer if the task has a preprocessor.

        Args:
            path: path of the folder. It must be empty or not exist.
            strict: bool. Whether to raise an error instead of a warning if
                the results of `transformers` for padded texts differ
                (`mask_conv=True`). Defaults to `False`.

        Raises:
            ValueError: if a Hugging Face ConvBERT cannot represent the
                encoder, or its results differ and `strict` is true.
            FileExistsError: if `path` is a file or a folder with content.
            ImportError: if safetensors is not installed.
        """
        encoder = self.backbone
        arrays = arrays_for_transformers(encoder, _encoder(encoder))
        tokenizer = _tokenizer(self)
        _write(path, encoder, arrays, "ConvBertBackbone", {}, strict, tokenizer)
        warnings.warn(
            "Only the encoder was exported: `transformers` has no ConvBERT "
            "class for the generator and for replaced-token detection.",
            stacklevel=2,
        )


class ExportsEmbedder(Mixin):
    """`export_to_transformers` of a text embedder."""

    def export_to_transformers(
        self, path: AnyPath, strict: bool = False
    ) -> None:
        """Writes a folder that the sentence-transformers library loads.

        It holds the encoder, which `transformers.ConvBertModel` loads too, the
        tokenizer, the pooling, the projection and the normalization.

        Args:
            path: path of the folder. It must be empty or not exist.
            strict: bool. Whether to raise an error instead of a warning if
                the results of `transformers` for padded texts differ
                (`mask_conv=True`). Defaults to `False`.

        Raises:
            ValueError: if a Hugging Face ConvBERT or the sentence-transformers
                library cannot represent the model, the task has no
                preprocessor, or the results differ and `strict` is true.
            FileExistsError: if `path` is a file or a folder with content.
            ImportError: if safetensors is not installed.
        """
        if self.preprocessor is None:
            raise ValueError(
                "Expected a task with a preprocessor, since the folder holds "
                "the tokenizer. Received: preprocessor=None"
            )
        add_modules = sentence_module_writer(self, _safetensors())
        encoder = self.backbone
        arrays = arrays_for_transformers(encoder, _encoder(encoder))
        tokenizer = self.preprocessor.tokenizer
        _write(
            path,
            encoder,
            arrays,
            "ConvBertBackbone",
            {},
            strict,
            tokenizer,
            add_modules,
        )


def _encoder(
    backbone: keras_hub.models.Backbone, prefix: str = ""
) -> list[WeightMapping]:
    return encoder_table(backbone.num_layers, backbone.num_groups, prefix)


def _head_settings(task: keras_hub.models.Task, kind: str) -> Config:
    """Returns the config entries of a head.

    Raises:
        ValueError: if the head of `transformers` differs.
    """
    config = task.get_config()
    if kind == "ConvBertMaskedLM":
        if transformers_arguments(task.backbone)["hidden_act"] != "gelu":
            raise ValueError(
                "Expected the activation gelu, which a Hugging Face masked LM "
                f"has. Received: activation={task.backbone.activation}"
            )
        return {"tie_word_embeddings": True}
    if kind == "ConvBertQuestionAnswerer":
        if config["head"] != "linear":
            raise ValueError(
                'Expected the head "linear", which a Hugging Face question '
                f'answerer has. Received: head="{config["head"]}"'
            )
        return {}
    if kind == "ConvBertMultipleChoice":
        return summary_settings(config)
    problem_type = {}
    if kind == "ConvBertTextClassifier":
        _check_classifier(task)
        problem_type = {"problem_type": task.problem_type}
    named = config.get("labels") or [
        f"LABEL_{i}" for i in range(config["num_classes"])
    ]
    labels = {str(i): label for i, label in enumerate(named)}
    return {
        "classifier_dropout": config["dropout"],
        "id2label": labels,
        "label2id": {label: int(i) for i, label in labels.items()},
        **problem_type,
    }


def _check_classifier(task: keras_hub.models.Task) -> None:
    if task.head != "dense":
        raise ValueError(
            'Expected the head "dense", which a Hugging Face classifier has. '
            'Export the backbone, or train a classifier with head="dense". '
            f'Received: head="{task.head}"'
        )
    if task.activation not in (
        keras.activations.linear,
        keras.activations.softmax,
        keras.activations.sigmoid,
    ):
        raise ValueError(
            "Expected a classifier without an activation, or with "
            '"softmax" or "sigmoid", which a Hugging Face classifier has. '
            "Received: activation="
            f"{keras.activations.serialize(task.activation)!r}"
        )


def _tokenizer(task: keras_hub.models.Task) -> Any:
    return task.preprocessor.tokenizer if task.preprocessor else None


def _write(
    path: AnyPath,
    backbone: keras_hub.models.Backbone,
    arrays: dict[str, np.ndarray],
    kind: str,
    settings: Config,
    strict: bool,
    tokenizer: Any = None,
    add_files: Callable[[pathlib.Path], None] | None = None,
) -> None:
    save_file = _safetensors()
    config = {
        "architectures": [names.HF_CLASSES[kind]],
        "model_type": "convbert",
        **transformers_arguments(backbone),
        **settings,
        **_special_ids(tokenizer),
        "dtype": "float32",
    }
    if backbone.mask_conv:
        if strict:
            raise ValueError(f"{MASK_CONV} Received: strict=True")
        warnings.warn(MASK_CONV, stacklevel=3)
    with atomic_folder(path) as folder:
        save_file(
            arrays, folder / "model.safetensors", metadata={"format": "pt"}
        )
        write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
        write_text(folder / CARD_FILE, _card(backbone, kind))
        if tokenizer is not None:
            write_tokenizer(tokenizer, folder, backbone.max_sequence_length)
        if add_files is not None:
            add_files(folder)


def _special_ids(tokenizer: Any) -> Config:
    if tokenizer is None:
        return {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
    }


def _card(backbone: keras_hub.models.Backbone, kind: str) -> str:
    name = names.HF_CLASSES[kind]
    note = f"\n{MASK_CONV}\n" if backbone.mask_conv else ""
    return f"""{front_matter("transformers", kind, "convbert")}
# {name}

A ConvBERT with {backbone.num_layers} layers of {backbone.hidden_dim} features,
exported by keras_convbert {__version__}. Load it with
`transformers.{name}.from_pretrained`, or with keras_convbert's
`{kind}.from_preset`.
{note}
{TODO}
"""


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "Writing a folder for `transformers` needs safetensors: "
            "`pip install safetensors`."
        ) from error
    return safetensors.numpy.save_file
