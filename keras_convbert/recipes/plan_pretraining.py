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

# One forward pass, and the gradients of both factors of each product.
TRAINING_PASSES = 3
# A weight, its gradient, and the two moments of AdamW, in float32.
BYTES_PER_PARAMETER = 16


@dataclasses.dataclass(frozen=True)
class PretrainingPlan:
    """Predicted cost of a pretraining run; `str()` is a report.

    Args:
        config: a `PretrainingConfig`.
        corpus_bytes: int. Size of the files.
        cost: a `Profile` of the pretrainer.
        backbone_parameters: int. Number of parameters of the backbone.
        paper_flops: int. FLOPs of a forward pass per sequence, counted as in
            the papers.
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
        """Number of training tokens, including padding."""
        config = self.config
        return config.steps * config.batch_size * config.sequence_length

    @property
    def flops(self) -> int:
        """FLOPs of all steps; a backward pass counts as two forward passes."""
        sequences = self.config.steps * self.config.batch_size
        return TRAINING_PASSES * sequences * self.cost.flops

    @property
    def seconds(self) -> float:
        """Time of all steps, without preparation, evaluation and backups."""
        return self.config.steps * self.time.seconds

    def __str__(self) -> str:
        config, time = self.config, self.time
        sequences = config.steps * config.batch_size
        activations = config.batch_size * self.cost.activation_bytes
        model = config.model if isinstance(config.model, str) else "custom"
        bound = "at most " if config.vocabulary is None else ""
        lines = [
            f"model       {model}: {bound}{self.backbone_parameters:,} "
            f"parameters, {self.cost.parameters:,} with the generator and "
            "heads",
            f"corpus      {self.corpus_bytes / 1e6:,.1f} MB",
            f"training    {config.steps:,} steps of {config.batch_size} x "
            f"{config.sequence_length} tokens, {self.tokens:.3g} tokens",
            f"FLOPs       {self.flops:.3g}, a backward pass counts as two "
            "forward passes; "
            f"{2 * sequences * self.paper_flops:.3g} counted as in the papers",
            f"memory      {activations / 1e9:,.2f} GB of activations in "
            f"{self.cost.dtype}, "
            f"{self.cost.parameters * BYTES_PER_PARAMETER / 1e9:,.2f} GB of "
            "weights, gradients and optimizer state",
            f"time        {_duration(self.seconds)}, "
            f"{time.seconds:.3g} s per step, scaled from {time.steps} steps "
            f"of {time.rows} sequences of random tokens",
            "            that were timed on this machine. Expect an error of "
            "up to a third. Compilation,",
            "            preparation, evaluation and backups are not included.",
        ]
        return "\n".join([*lines, "", str(self.cost)])


def plan_pretraining(
    files: Files,
    config: AnyPath | Config | PretrainingConfig | None = None,
    output: AnyPath | None = None,
) -> PretrainingPlan:
    """Predicts the cost of `pretrain` with the same arguments.

    The function makes the model and times some training steps. If a step of a
    full batch would take more than a few seconds, it times fewer sequences and
    scales the result. It writes no files. FLOPs are an upper bound, and so is
    the number of parameters if the corpus is too small for `vocabulary_size`.

    Args:
        files: path, or several paths, of text files.
        config: configuration, as in `pretrain`. Defaults to `None`.
        output: path of the output folder, to check that it does not belong to
            another pretraining run; `None` skips the check. Defaults to
            `None`.

    Returns:
        A `PretrainingPlan`.

    Raises:
        ValueError: as in `pretrain`.
        FileNotFoundError: if a file is missing.
        FileExistsError: if `output` exists and is not a pretraining folder.
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
