"""Refuses settings of heads and tokenizers that our classes do not have."""

from typing import Any

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.models.convbert.transformers import config_keys as keys
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.files import is_port
from keras_convbert.types import Config

PAD_TOKEN = "[PAD]"
# The activation of a head that does not follow `hidden_act`.
HEAD_ACTIVATION = "gelu"
# The layer norm of the masked LM head in the earlier port.
PORT_EPSILON = 1e-5


def check_head_settings(
    kind: str | None, source: ArraySource | None, config: Config
) -> None:
    """Raises `ValueError` if the head of class `kind` computes otherwise.

    Args:
        kind: string. The name of our class.
        source: `ArraySource` of the weights.
        config: dict. The content of `config.json`.
    """
    required: Config = {}
    is_masked_lm = kind == "ConvBertMaskedLM"
    if is_masked_lm or (kind == "ConvBertTextClassifier" and is_port(config)):
        required["hidden_act"] = HEAD_ACTIVATION
    if is_masked_lm and is_port(config):
        required["layer_norm_eps"] = PORT_EPSILON
    if is_masked_lm and source and names.HF_TIED not in source.shapes:
        required["tie_word_embeddings"] = True
    for key, value in required.items():
        if config.get(key, value) != value:
            raise ValueError(
                f"Expected {key!r} in 'config.json' to be {value!r}, as in the "
                f"head of {kind}. Received: {key}={config[key]!r}"
            )


def check_pad_token_id(config: Config, vocabulary: Any) -> None:
    """Raises `ValueError` if `pad_token_id` names another token than `[PAD]`.

    The default of `ConvBertConfig` is wrong for its own vocabulary, and
    `transformers` takes the id from the tokenizer. It is accepted.

    Args:
        config: dict. The content of `config.json`.
        vocabulary: list of strings; anything else is not checked.
    """
    pad_token_id = config.get("pad_token_id")
    if not isinstance(vocabulary, list) or PAD_TOKEN not in vocabulary:
        return
    expected = vocabulary.index(PAD_TOKEN)
    if pad_token_id not in (None, keys.HF_PAD_TOKEN_ID, expected):
        raise ValueError(
            f"Expected 'pad_token_id' in 'config.json' to be {expected}, the "
            f"id of {PAD_TOKEN} in the vocabulary. "
            f"Received: pad_token_id={pad_token_id!r}"
        )
