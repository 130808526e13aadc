"""Which settings of `tokenizer_config.json` are understood.

It also covers `special_tokens_map.json`.
"""

import warnings
from typing import Any

from keras_convbert.types import Config

CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
SPECIAL_TOKENS = {
    f"{name}_token": f"[{name.upper()}]"
    for name in ("pad", "unk", "cls", "sep", "mask")
}
# Tokenizers that split text and words as BERT does. Each has a slow and a fast
# form.
BERT_TOKENIZERS = (
    *("ConvBertTokenizer", "BertTokenizer", "ElectraTokenizer"),
    *("DistilBertTokenizer", "MobileBertTokenizer", "LxmertTokenizer"),
    *("SqueezeBertTokenizer", "LayoutLMTokenizer", "RetriBertTokenizer"),
)
# These are what `tokenizer.json` says.
GENERIC_TOKENIZERS = ("PreTrainedTokenizerFast", "TokenizersBackend")
FLAGS = ("lstrip", "rstrip", "normalized", "single_word")
# The only values of these settings with which ids are those of this library.
REQUIRED: dict[str, tuple[Any, ...]] = {
    "auto_map": (None,),
    "clean_text": (None, True),
    "do_basic_tokenize": (None, True),
    "do_subword_tokenize": (None, True),
    "do_word_tokenize": (None, True),
    "jumanpp_kwargs": (None,),
    "max_input_chars_per_word": (None, 100),
    "mecab_kwargs": (None,),
    "never_split": (None, []),
    "pad_token_type_id": (None, 0),
    "padding_side": (None, "right"),
    "split_special_tokens": (None, False),
    "subword_tokenizer_type": (None, "wordpiece"),
    "sudachi_kwargs": (None,),
    "tokenize_chinese_chars": (None, True),
    "truncation_side": (None, "right"),
    "word_tokenizer_type": (None, "basic"),
    "wordpieces_prefix": (None, "##"),
    **{key: (None, token) for key, token in SPECIAL_TOKENS.items()},
    "bos_token": (None, "[CLS]"),
    "eos_token": (None, "[SEP]"),
}
HONORED = {
    *("do_lower_case", "strip_accents", "tokenizer_class", "max_len"),
    *("model_max_length", "added_tokens_decoder", "additional_special_tokens"),
    "extra_special_tokens",
}
# These say where files are, set defaults of calls that pad or truncate on
# request, or concern decoding.
IGNORED = {
    *("_commit_hash", "backend", "cache_dir", "chat_template"),
    *("clean_up_tokenization_spaces", "device_map", "from_slow"),
    *("full_tokenizer_file", "init_inputs", "is_fast", "is_local"),
    *("local_files_only", "max_length", "model_input_names", "name_or_path"),
    *("pad_to_multiple_of", "processor_class", "revision"),
    *("special_tokens_map_file", "stride", "subfolder", "token"),
    *("tokenizer_file", "transformers_version", "truncation_strategy"),
    *("trust_remote_code", "use_auth_token", "use_fast", "verbose"),
    *("vocab_file", "padding", "truncation"),
}


def check_tokenizer_config(config: Config, has_json: bool, where: str) -> None:
    """Raises `ValueError` for the settings that this library cannot honor.

    It warns of unknown settings.

    Args:
        config: dict. The content of `tokenizer_config.json`.
        has_json: bool. Whether there is a `tokenizer.json`.
        where: string. The preset, for the message.
    """
    _check_class(config.get("tokenizer_class"), has_json, where)
    problems = [
        f"{key}={config[key]!r}"
        for key, allowed in REQUIRED.items()
        if content_of(config.get(key)) not in allowed
        and not (key == "never_split" and _are_special(config[key]))
    ]
    problems += [
        f"{key}={value!r}"
        for key, value in config.items()
        if key in SPECIAL_TOKENS and has_flags(value)
    ]
    for key in ("do_lower_case", "strip_accents"):
        if not isinstance(config.get(key), bool | None):
            problems.append(f"{key}={config[key]!r}")
    unknown = sorted(set(config) - REQUIRED.keys() - HONORED - IGNORED)
    problems += [
        f"{key}={config[key]!r}"
        for key in unknown
        if key.endswith("_token") and config[key] is not None
    ]
    if problems:
        raise ValueError(
            "Expected the settings of a BERT tokenizer with the special "
            f"tokens {[*SPECIAL_TOKENS.values()]}. "
            f"Received: {', '.join(problems)} in preset={where!r}"
        )
    unknown = [key for key in unknown if config[key] is not None]
    if unknown:
        warnings.warn(
            f"The settings {unknown} of {CONFIG_FILE!r} are unknown, and are "
            f"ignored. Received: preset={where!r}",
            stacklevel=2,
        )


def content_of(token: Any) -> Any:
    """Returns the string of a token, which a file may have in a dict."""
    return token.get("content") if isinstance(token, dict) else token


def has_flags(token: Any) -> bool:
    """Whether a token is matched in another way than a special token."""
    return isinstance(token, dict) and any(token.get(flag) for flag in FLAGS)


def max_length(config: Config) -> int | None:
    """Returns the maximum length that a tokenizer config sets."""
    found = config.get("model_max_length", config.get("max_len"))
    # Files without a limit have a number such as 1e30.
    is_limit = isinstance(found, int) and 2 < found < 2**31
    return found if is_limit else None


def _are_special(tokens: Any) -> bool:
    known = SPECIAL_TOKENS.values()
    return isinstance(tokens, list) and all(token in known for token in tokens)


def _check_class(name: Any, has_json: bool, where: str) -> None:
    if name is None or str(name).removesuffix("Fast") in BERT_TOKENIZERS:
        return
    if name in GENERIC_TOKENIZERS and has_json:
        return
    reason = ""
    if name == "BertJapaneseTokenizer":
        reason = (
            f" {name} splits words by MeCab or into characters, which a "
            "served graph cannot run."
        )
    if name in GENERIC_TOKENIZERS:
        reason = f" {name} needs a file 'tokenizer.json', which is missing."
    raise ValueError(
        "Expected a tokenizer that splits text as BERT does, one of "
        f"{[*BERT_TOKENIZERS]}.{reason} "
        f"Received: tokenizer_class={name!r} in preset={where!r}"
    )
