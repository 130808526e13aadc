import dataclasses
import inspect
import json
import os
import pathlib
import tomllib
import typing
from typing import Any

from keras_convbert.files import AnyPath
from keras_convbert.models.presets.family import backbone_class
from keras_convbert.recipes.known_keys import check_keys
from keras_convbert.recipes.paper_settings import MOST_WARMUP_STEPS
from keras_convbert.recipes.paper_settings import PAPER_SETTINGS
from keras_convbert.types import Config

FAMILY = "convbert"
DTYPES = ("float32", "mixed_bfloat16")
INFINITY = float("inf")
RANGES = {
    "vocabulary_size": (20, INFINITY),
    "sequence_length": (8, 65535),
    "held_out": (0, 0.5),
    "steps": (1, INFINITY),
    "batch_size": (1, INFINITY),
    "learning_rate": (0, INFINITY),
    "warmup_steps": (0, INFINITY),
    "weight_decay": (0, INFINITY),
    "seed": (0, INFINITY),
    "save_every": (1, INFINITY),
    "workers": (1, INFINITY),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """Configuration of `pretrain`; the defaults are those of the paper.

    Args:
        model: string or dict. A model size of the paper, or a dict of
            arguments of `ConvBertBackbone`, without `vocabulary_size` and
            `dtype`. The key `preset` of the dict names a size whose arguments
            the other keys replace. Defaults to `"convbert_small"`.
        vocabulary: path of a vocabulary with one token per line; `None` trains
            a vocabulary on the corpus. Defaults to `None`.
        vocabulary_size: int. Number of tokens of a trained vocabulary.
            Defaults to `30522`.
        lowercase: bool. Whether to lowercase the text. Defaults to `True`.
        strip_accents: bool. Whether to strip accents; `None` uses the value of
            `lowercase`. Defaults to `None`.
        sequence_length: int. Tokens per training sequence. Defaults to `128`.
        held_out: float. Fraction of the sequences to evaluate on, from the
            end of the corpus; 0 disables evaluation. Defaults to `0.01`.
        steps: int. Number of optimizer steps. Defaults to `1000000`.
        batch_size: int. Sequences per step. Defaults to `128`.
        learning_rate: float. Peak learning rate. Defaults to `0.0003`.
        warmup_steps: int. Number of steps of linear warmup; the learning rate
            then decays to zero. Defaults to `10000`.
        weight_decay: float. Argument of `training.AdamW`. Defaults to `0.01`.
        generator_scale: float. Argument of `ConvBertPretrainer`. Defaults to
            `0.25`.
        mask_rate: float. Argument of `ConvBertPretrainer`. Defaults to `0.15`.
        mask_token_rate: float. Argument of `ConvBertPretrainer`. Defaults to
            `0.85`.
        discriminator_weight: float. Argument of `ConvBertPretrainer`. Defaults
            to `50.0`.
        temperature: float. Argument of `ConvBertPretrainer`. Defaults to
            `1.0`.
        dtype: string. Dtype policy of the model, `"float32"` or
            `"mixed_bfloat16"`. Defaults to `"float32"`.
        jit_compile: bool. Whether to compile the training step. `None` uses
            the Keras default, which compiles on JAX and on TensorFlow with a
            GPU, but not on PyTorch. PyTorch on a GPU trains faster with
            `True`, but compilation takes minutes. Defaults to `None`.
        seed: int. Seed of all random numbers. Defaults to `0`.
        save_every: int. Number of steps between backups; `None` saves once per
            epoch. Defaults to `None`.
        tensorboard: bool. Whether to write TensorBoard logs, if TensorFlow and
            TensorBoard are installed. Defaults to `True`.
        workers: int. Number of processes that read the corpus; `None` uses one
            per core. Defaults to `None`.
        whole_word_masking: bool. Argument of `ConvBertPretrainer`. Defaults to
            `False`.
        column: string. The column of JSON Lines and Parquet files with the
            text. Defaults to `"text"`.
        errors: string. Argument of `data.prepare`: `"replace"` accepts a
            corpus most of whose lines are not UTF-8. Defaults to `"warn"`.

    Raises:
        ValueError: if a value has the wrong type or is out of its range.
    """

    model: str | dict[str, Any] = "convbert_small"
    vocabulary: str | None = None
    vocabulary_size: int = 30522
    lowercase: bool = True
    strip_accents: bool | None = None
    sequence_length: int = 128
    held_out: float = 0.01
    steps: int = 1_000_000
    batch_size: int = 128
    learning_rate: float = 3e-4
    warmup_steps: int = MOST_WARMUP_STEPS
    weight_decay: float = 0.01
    generator_scale: float = 0.25
    mask_rate: float = 0.15
    mask_token_rate: float = 0.85
    discriminator_weight: float = 50.0
    temperature: float = 1.0
    dtype: str = "float32"
    jit_compile: bool | None = None
    seed: int = 0
    save_every: int | None = None
    tensorboard: bool = True
    workers: int | None = None
    whole_word_masking: bool = False
    column: str = "text"
    errors: str = "warn"

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self)).items():
            _check(name, hint, getattr(self, name))
        if self.warmup_steps >= self.steps:
            raise ValueError(
                "Expected `warmup_steps` to be less than `steps`. Received: "
                f"warmup_steps={self.warmup_steps}, steps={self.steps}"
            )
        if self.dtype not in DTYPES:
            raise ValueError(
                f"Expected `dtype` to be one of {DTYPES}. "
                f"Received: dtype={self.dtype!r}"
            )
        self.backbone_arguments()

    @classmethod
    def make(
        cls, config: "AnyPath | Config | PretrainingConfig | None"
    ) -> "PretrainingConfig":
        """Makes a configuration; missing keys get their default values.

        Args:
            config: path of a JSON or TOML file, a dict, `None` for the
                defaults, or a `PretrainingConfig`, which is returned.
        """
        if isinstance(config, PretrainingConfig):
            return config
        if isinstance(config, str | os.PathLike):
            config = _read(pathlib.Path(config))
        given = dict(config or {})
        known = [field.name for field in dataclasses.fields(cls)]
        check_keys(given, known, "the configuration")
        if {"vocabulary", "vocabulary_size"} <= given.keys():
            raise ValueError(
                "Expected either `vocabulary` or `vocabulary_size` (of a "
                "vocabulary to train), not both. "
                f"Received: vocabulary={given['vocabulary']!r}, "
                f"vocabulary_size={given['vocabulary_size']!r}"
            )
        model = given.get("model", cls.model)
        name = model.get("preset") if isinstance(model, dict) else model
        values = {**PAPER_SETTINGS.get(str(name), {}), **given}
        steps = values.get("steps", cls.steps)
        if "warmup_steps" not in values and isinstance(steps, int):
            values["warmup_steps"] = min(MOST_WARMUP_STEPS, steps // 10)
        return cls(**values)

    def backbone_arguments(self) -> Config:
        """Returns arguments of `ConvBertBackbone` except `vocabulary_size`."""
        given: Config = {"preset": self.model}
        if isinstance(self.model, dict):
            given = dict(self.model)
        name = given.pop("preset", None)
        backbone_cls = backbone_class(FAMILY)
        architectures = backbone_cls.family.architectures
        if name is not None and name not in [*architectures]:
            raise ValueError(
                f"Expected `model` to be one of {(*architectures,)}, or a "
                "table of arguments of ConvBertBackbone. "
                f"Received: model={name!r}"
            )
        parameters = inspect.signature(backbone_cls.__init__).parameters
        excluded = ("self", "kwargs", "dtype", "vocabulary_size")
        known = [name for name in parameters if name not in excluded]
        check_keys(given, [*known, "preset"], "`model`")
        arguments = architectures[name]["config"] if name else {}
        arguments = {**arguments, **given}
        arguments.pop("vocabulary_size", None)
        missing = [
            name
            for name in known
            if parameters[name].default is inspect.Parameter.empty
            and name not in arguments
        ]
        if missing:
            raise ValueError(
                "Expected `model` to have the key `preset`, or also the keys "
                f"{missing}. Received: model={self.model}"
            )
        return arguments


def _read(path: pathlib.Path) -> Config:
    """Reads a file; paths in it are relative to its folder."""
    readers = {".json": json.loads, ".toml": tomllib.loads}
    if path.suffix not in readers:
        raise ValueError(
            "Expected `config` to be a file that ends in .json or .toml. "
            f"Received: config={str(path)!r}"
        )
    try:
        config = readers[path.suffix](path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"Cannot read the configuration {str(path)!r}: {error}"
        ) from error
    if not isinstance(config, dict):
        raise ValueError(
            f"Expected {str(path)!r} to contain a table of keys and values. "
            f"Received: {config!r}"
        )
    if isinstance(config.get("vocabulary"), str):
        config["vocabulary"] = str(path.parent / config["vocabulary"])
    return config


def _check(name: str, hint: Any, value: Any) -> None:
    """Raises `ValueError` for a value of the wrong type or out of range."""
    kinds = typing.get_args(hint) or (hint,)
    kinds = tuple(typing.get_origin(kind) or kind for kind in kinds)
    allowed = (*kinds, int) if float in kinds else kinds
    if not isinstance(value, allowed) or (
        isinstance(value, bool) and bool not in kinds
    ):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(
            f"Expected `{name}` to be {names}. Received: {name}={value!r}"
        )
    least, most = RANGES.get(name, (-INFINITY, INFINITY))
    if isinstance(value, int | float) and not least <= value <= most:
        bounds = f"at least {least}"
        if most < INFINITY:
            bounds += f" and at most {most}"
        raise ValueError(
            f"Expected `{name}` to be {bounds}. Received: {name}={value!r}"
        )
