"""What a checkpoint is, by its files, and the model that it holds."""

import os
import pathlib
import warnings
from typing import Any

import keras_hub

from keras_convbert import models
from keras_convbert.files import AnyPath
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.files import is_transformers
from keras_convbert.models.convbert.transformers.tokenizer import has_tokenizer
from keras_convbert.models.load_model import load_model
from keras_convbert.models.presets.files import read


def source_format(source: str) -> str:
    """`"keras"` (a file), `"tf1"`, `"huggingface"` or `"preset"`.

    Raises:
        ValueError: if it is none of these.
    """
    if source.endswith(".keras"):
        return "keras"
    if pathlib.Path(f"{source}.index").is_file():
        return "tf1"
    found = os.path.isdir(source) or "://" in source
    if source in ARCHITECTURES or not found:
        raise ValueError(
            "Expected a folder or a handle of a hub, of KerasHub's or Hugging "
            "Face's form, a .keras file, or the prefix of a checkpoint of "
            f"TensorFlow 1. Received: source={source!r}"
        )
    return "huggingface" if is_transformers(source) else "preset"


def open_source(source: str, vocabulary: AnyPath | None = None) -> Any:
    """The model in a checkpoint, and its tokenizer if it is a backbone's.

    Args:
        source: string. Path or handle of the checkpoint.
        vocabulary: path. Vocabulary to take in place of the source's own.
            Defaults to `None`.
    """
    kind = source_format(source)
    given = None if vocabulary is None else os.fspath(vocabulary)
    if given is not None and kind not in ("huggingface", "tf1"):
        raise ValueError(
            "A vocabulary can be given for Hugging Face's folders and "
            f"checkpoints of TensorFlow 1. Received: source={source!r}, of "
            f"the kind {kind}"
        )
    if kind == "keras":
        return load_model(source), None
    if kind == "tf1":
        warnings.warn(
            "The encoder alone was taken. `from_tf1_checkpoint` of "
            "`ConvBertPretrainer` or `ConvBertTextClassifier` takes heads too.",
            stacklevel=3,
        )
        model = models.ConvBertBackbone.from_tf1_checkpoint(source)
        return model, given and models.ConvBertTokenizer(given)
    cls = class_in(source, kind)
    if cls is not models.ConvBertBackbone:
        extra = {} if given is None else {"vocabulary": given}
        return cls.from_preset(source, **extra), None
    return cls.from_preset(source), _tokenizer(source, given)


def class_in(source: str, kind: str) -> type[Any]:
    """The class of ours whose weights are there."""
    if kind == "huggingface":
        theirs = read(source, "config.json").get("architectures") or []
        ours = {name: cls for cls, name in names.HF_CLASSES.items()}
        found = [ours[name] for name in ours if name in theirs]
        name = found[0] if found else ""
        if theirs and not found:
            warnings.warn(
                f"There is no class for {theirs}: the encoder alone was taken.",
                stacklevel=4,
            )
    else:
        registered = str(read(source, "task.json").get("registered_name"))
        name = registered.rpartition(">")[-1]
    there: Any = getattr(models, name, None)
    is_task = isinstance(there, type) and issubclass(
        there, keras_hub.models.Task
    )
    return there if is_task else models.ConvBertBackbone


def _tokenizer(
    source: str, vocabulary: str | None
) -> keras_hub.tokenizers.Tokenizer | None:
    if vocabulary is not None:
        return models.ConvBertTokenizer.from_preset(
            source, vocabulary=vocabulary
        )
    if has_tokenizer(source):
        return models.ConvBertTokenizer.from_preset(source)
    return None
