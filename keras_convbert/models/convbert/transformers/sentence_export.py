"""Writes the modules of a sentence-transformers folder."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.files import write_text
from keras_convbert.models.convbert.transformers import sentence_names as names
from keras_convbert.models.convbert.transformers.weights import (
    arrays_for_transformers,
)
from keras_convbert.models.presets.model_card import CARD_FILE
from keras_convbert.models.presets.model_card import TODO
from keras_convbert.models.presets.model_card import front_matter
from keras_convbert.types import Config
from keras_convbert.version import __version__


def sentence_module_writer(
    embedder: keras_hub.models.TextEmbedder, save_file: Callable[..., None]
) -> Callable[[pathlib.Path], None]:
    """Returns a function that adds the modules to the folder of the encoder.

    Args:
        embedder: a `ConvBertTextEmbedder`.
        save_file: function. Writes arrays as a safetensors file.

    Raises:
        ValueError: if PyTorch has no module for the activation, or the
            projection is quantized.
    """
    modules: list[tuple[str, Config]] = [
        (names.TRANSFORMER, {}),
        (names.POOLING, _pooling(embedder)),
    ]
    arrays: dict[str, np.ndarray] = {}
    if embedder.projection is not None:
        table = [WeightMapping(*entry) for entry in names.DENSE_WEIGHTS]
        arrays = arrays_for_transformers(embedder.projection, table)
        modules.append((names.DENSE, _dense(embedder)))
    if embedder.normalize:
        modules.append((names.NORMALIZE, {}))

    def write(folder: pathlib.Path) -> None:
        entries = []
        for i, (kind, settings) in enumerate(modules):
            name = f"{i}_{kind}" if i else ""
            entries.append(
                {
                    "idx": i,
                    "name": str(i),
                    "path": name,
                    "type": f"{names.MODULE_TYPE}{kind}",
                }
            )
            if name:
                (folder / name).mkdir()
                _write_json(folder / name / names.MODULE_CONFIG_FILE, settings)
            if kind == names.DENSE:
                save_file(arrays, folder / name / "model.safetensors")
        _write_json(folder / names.MODULES_FILE, entries)
        _write_json(
            folder / names.TEXT_CONFIG_FILE,
            {
                "max_seq_length": embedder.preprocessor.sequence_length,
                "do_lower_case": False,
            },
        )
        _write_json(
            folder / names.MODEL_CONFIG_FILE,
            {
                "prompts": {},
                "default_prompt_name": None,
                "similarity_fn_name": "cosine",
            },
        )
        write_text(folder / CARD_FILE, _card(embedder))

    return write


def _pooling(embedder: keras_hub.models.TextEmbedder) -> Config:
    """Returns the flags that all releases of the library read."""
    modes = {ours: theirs for theirs, ours in names.POOLING_MODES.items()}
    mode = modes[embedder.pooling]
    return {
        "word_embedding_dimension": embedder.backbone.hidden_dim,
        **{flag: m == mode for flag, m in names.POOLING_FLAGS.items()},
        "include_prompt": True,
    }


def _dense(embedder: keras_hub.models.TextEmbedder) -> Config:
    activation = keras.activations.serialize(embedder.projection_activation)
    theirs = {
        ours or "linear": name for name, ours in names.DENSE_ACTIVATIONS.items()
    }
    if activation not in theirs:
        raise ValueError(
            "Expected a projection activation that PyTorch has as a module, "
            f"one of {[*theirs]}. "
            f"Received: projection_activation={activation!r}"
        )
    return {
        "in_features": embedder.backbone.hidden_dim,
        "out_features": embedder.projection_dim,
        "bias": True,
        "activation_function": theirs[activation],
    }


def _card(embedder: keras_hub.models.TextEmbedder) -> str:
    name = type(embedder).__name__
    front = front_matter("sentence-transformers", name, "convbert")
    return f"""{front}
# {name}

A ConvBERT text embedder with {embedder.backbone.num_layers} layers of \
{embedder.backbone.hidden_dim} features, exported by keras_convbert \
{__version__}. Load it with `sentence_transformers.SentenceTransformer`, or with
keras_convbert's `{name}.from_preset`.

{TODO}
"""


def _write_json(path: pathlib.Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")
