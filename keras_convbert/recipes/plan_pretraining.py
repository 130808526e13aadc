import dataclasses

from keras_convbert.analysis import Profile
from keras_convbert.analysis import profile
from keras_convbert.data.documents import Files
from keras_convbert.files import AnyPath
from keras_convbert.recipes.pretraining_config import PretrainingConfig
from keras_convbert.recipes.pretraining_folder import PretrainingFolder
from keras_convbert.recipes.pretraining_model import checked
from keras_convbert.recipes.pretraining_model import make_pretrainer
from keras_convbert.recipes.pretraining_model import tokenizer_class
from keras_convbert.recipes.step_time import StepTime
from keras_convbert.recipes.step_time import time_step
from keras_convbert.text.vocabulary import SPECIAL_TOKENS
from keras_convbert.types import Config

# The gradients of both factors of each product.
TRAINING_PASSES = 3
# A weight, its gradient, and the two means of AdamW, in float32.
BYTES_A_PARAMETER = 16


@dataclasses.dataclass(frozen=True)
class PretrainingPlan:
    """What a pretraining would take; `str()` is for people.

    Args:
        config: a `PretrainingConfig`.
        corpus_bytes: int. Size of the files.
        cost: a `Profile` of the pretrainer.
        backbone_parameters: int. Of the model that is left in the end.
        paper_flops: int. Forward FLOPs of a sequence by the papers' count.
        time: a `StepTime`.
    """

    config: PretrainingConfig
    corpus_bytes: int
    cost: Profile
    backbone_parameters: int
    paper_flops: int
    time: StepTime

    @property
    def tokens(self) -> int:
        """Tokens seen in all steps, padding included."""
        config = self.config
        return config.steps * config.batch_size * config.sequence_length

    @property
    def flops(self) -> int:
        """Of the whole training, a backward pass counting twice."""
        sequences = self.config.steps * self.config.batch_size
        return TRAINING_PASSES * sequences * self.cost.flops

    @property
    def seconds(self) -> float:
        """Of all steps, without preparation, evaluation and backups."""
        return self.config.steps * self.time.seconds

    def __str__(self) -> str:
        config, time = self.config, self.time
        sequences = config.steps * config.batch_size
        activations = config.batch_size * self.cost.activation_bytes
        model = config.model if isinstance(config.model, str) else "of sizes"
        most = "at most " if config.vocabulary is None else ""
        lines = [
            f"model       {model}: {most}{self.backbone_parameters:,} "
            f"parameters, {self.cost.parameters:,} with the generator and "
            "heads",
            f"corpus      {self.corpus_bytes / 1e6:,.1f} MB in files",
            f"training    {config.steps:,} steps of {config.batch_size} x "
            f"{config.sequence_length} tokens, {self.tokens:.3g} tokens",
            f"FLOPs       {self.flops:.3g}, a backward pass as two forward; "
            f"{2 * sequences * self.paper_flops:.3g} by the papers' count",
            f"memory      {activations / 1e9:,.2f} GB of activations in "
            f"{self.cost.dtype}, "
            f"{self.cost.parameters * BYTES_A_PARAMETER / 1e9:,.2f} GB of "
            "weights, gradients and optimizer",
            f"time        {_duration(self.seconds)}, "
            f"{time.seconds:.3g} s a step: {time.steps} steps of "
            f"{time.rows} sequences were timed here, of the real model",
            "            on random tokens, and taken in proportion. Expect "
            "up to a third more or less, and",
            "            compilation, preparation, evaluation and backups "
            "besides.",
        ]
        return "\n".join([*lines, "", str(self.cost)])


def plan_pretraining(
    files: Files,
    config: AnyPath | Config | PretrainingConfig | None = None,
    output: AnyPath | None = None,
) -> PretrainingPlan:
    """What `pretrain` would take with these arguments; writes nothing.

    The model is made and some of its steps are timed, with as many sequences
    of a batch as take some seconds. FLOPs, and parameters where the corpus is
    too small for `vocabulary_size`, are bounds from above.

    Args:
        files: a path, or several, of text.
        config: as of `pretrain`. Defaults to `None`.
        output: path of the folder, to see that it is none of another
            pretraining; `None` does not. Defaults to `None`.

    Returns:
        A `PretrainingPlan`.

    Raises:
        ValueError: as `pretrain`.
        FileNotFoundError: if a file is missing.
        FileExistsError: if `output` is something else.
    """
    config, corpus = checked(files, config)
    if output is not None:
        PretrainingFolder(output, config, corpus)
    tokenizer = tokenizer_class()(config.vocabulary or SPECIAL_TOKENS)
    size = config.vocabulary_size
    if config.vocabulary is not None:
        size = tokenizer.vocabulary_size()
    pretrainer = make_pretrainer(config, tokenizer, size)
    length = config.sequence_length
    cost = profile(pretrainer, length)
    return PretrainingPlan(
        config,
        corpus.size,
        cost,
        pretrainer.backbone.count_params(),
        profile(pretrainer, length, dense_lookup=True).flops,
        time_step(
            pretrainer, config.batch_size, length, TRAINING_PASSES * cost.flops
        ),
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
