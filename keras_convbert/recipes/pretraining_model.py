import pathlib
from typing import Any

from keras_convbert import training
from keras_convbert.data.documents import Corpus
from keras_convbert.data.documents import Files
from keras_convbert.files import AnyPath
from keras_convbert.models.presets.family import backbone_class
from keras_convbert.models.presets.family import task_class
from keras_convbert.recipes.pretraining_config import FAMILY
from keras_convbert.recipes.pretraining_config import PretrainingConfig
from keras_convbert.text.vocabulary import SPECIAL_TOKENS
from keras_convbert.types import Config


def pretrainer_class() -> Any:
    """Returns the class that `pretrain` trains."""
    return task_class(backbone_class(FAMILY), "pretrainer")


def tokenizer_class() -> Any:
    """Returns the tokenizer class of the pretrainer."""
    return pretrainer_class().preprocessor_cls.tokenizer_cls


def make_pretrainer(
    config: PretrainingConfig,
    tokenizer: Any,
    vocabulary_size: int,
    num_layers: int | None = None,
) -> Any:
    """Makes and compiles the model of a configuration.

    Args:
        config: a `PretrainingConfig`.
        tokenizer: a `ConvBertTokenizer`.
        vocabulary_size: int. Number of token ids.
        num_layers: int. Number of layers, in place of that of the
            configuration, unless `None`. Defaults to `None`.
    """
    arguments = config.backbone_arguments()
    if num_layers is not None:
        arguments["num_layers"] = num_layers
    cls = pretrainer_class()
    backbone = cls.backbone_cls(
        vocabulary_size=vocabulary_size, dtype=config.dtype, **arguments
    )
    if config.sequence_length > backbone.max_sequence_length:
        raise ValueError(
            "Expected `sequence_length` to be at most the "
            "`max_sequence_length` of `model`, "
            f"{backbone.max_sequence_length}. "
            f"Received: sequence_length={config.sequence_length}"
        )
    pretrainer = cls(
        backbone,
        generator_scale=config.generator_scale,
        mask_rate=config.mask_rate,
        mask_token_rate=config.mask_token_rate,
        discriminator_weight=config.discriminator_weight,
        temperature=config.temperature,
        preprocessor=cls.preprocessor_cls(tokenizer, config.sequence_length),
        seed=config.seed,
        whole_word_masking=config.whole_word_masking,
        compile=False,
    )
    rate = training.WarmupLinearDecay(
        config.learning_rate, config.warmup_steps, config.steps
    )
    jit_compile = "auto" if config.jit_compile is None else config.jit_compile
    pretrainer.compile(
        training.AdamW(rate, weight_decay=config.weight_decay),
        jit_compile=jit_compile,
    )
    return pretrainer


def checked(
    files: Files, config: AnyPath | Config | PretrainingConfig | None
) -> tuple[PretrainingConfig, Corpus]:
    """Returns the validated configuration and corpus.

    Raises:
        ValueError: if all files are empty, or if the configuration is invalid.
        FileNotFoundError: if a file is missing.
    """
    config = PretrainingConfig.make(config)
    corpus = Corpus(files, config.column, config.errors)
    if not corpus.size:
        names = [str(path) for path in corpus.paths]
        raise ValueError(
            f"Expected text files that are not empty. Received: files={names}"
        )
    if config.vocabulary and not pathlib.Path(config.vocabulary).is_file():
        raise FileNotFoundError(
            "Expected `vocabulary` to be the path of a file with one token per "
            "line. "
            f"Received: vocabulary={config.vocabulary!r}"
        )
    _check_model(config)
    return config, corpus


def _check_model(config: PretrainingConfig) -> None:
    """Raises `ValueError` if the model is invalid, by making a small one."""
    number = config.backbone_arguments()["num_layers"]
    layers = 1 if isinstance(number, int) and number > 0 else number
    tokenizer = tokenizer_class()(SPECIAL_TOKENS)
    make_pretrainer(config, tokenizer, len(SPECIAL_TOKENS), layers)
