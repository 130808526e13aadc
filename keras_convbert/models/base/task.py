from typing import Any
from typing import ClassVar
from typing import Self

from keras_convbert.files import AnyPath
from keras_convbert.layers.validation import check_no_others
from keras_convbert.models.base.checked_weights import CheckedWeights
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.base.layer_costs import LayerCost
from keras_convbert.models.base.layer_costs import head_costs
from keras_convbert.models.base.trainer import Trainer
from keras_convbert.models.base.training_state import TrainingState
from keras_convbert.models.presets.saving import save_model
from keras_convbert.models.presets.task_loading import load_task
from keras_convbert.training import AdamW
from keras_convbert.types import Config


class Task(Trainer, TrainingState, CheckedWeights):
    """Base of the tasks of all families, the first base of each.

    It is not a `keras.Model`, of which Keras allows one among the bases. A
    subclass sets `backbone_cls`, `preprocessor_cls` and `task_kind`.

    Tasks shuffle samples in memory in each epoch, open presets in the formats
    of KerasHub and of other libraries, check weights before they load them,
    and resume training from `.keras` files.
    """

    task_kind: ClassVar[str]
    """What the task does, as `"text_classifier"`: decides how it is served."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_no_others(
            kwargs, "inputs", "outputs", "name", "trainable", "compile"
        )
        super().__init__(*args, **kwargs)

    def compile(
        self, optimizer: Any = "auto", *args: Any, **kwargs: Any
    ) -> None:
        """Configures training.

        Args:
            optimizer: optimizer, or its name; `"auto"` is `training.AdamW`
                with a learning rate of 0.00005. Defaults to `"auto"`.
            *args: arguments of `keras.Model.compile`.
            **kwargs: arguments of `keras.Model.compile`.
        """
        if isinstance(optimizer, str) and optimizer == "auto":
            optimizer = AdamW(5e-5)
        super().compile(optimizer, *args, **kwargs)

    def _refuse_loss(self, arguments: Config) -> None:
        """Takes `loss` out of the arguments of a task with its own loss."""
        if arguments.pop("loss", None) is not None:
            raise ValueError(
                f"`{type(self).__name__}` has a loss of its own. Expected no "
                "argument `loss`."
            )

    @classmethod
    def from_preset(
        cls, preset: AnyPath, load_weights: bool = True, **kwargs: Any
    ) -> Self:
        """Makes a task from a preset.

        Args:
            preset: path or string. A folder in the format of KerasHub or of
                Hugging Face `transformers`, the handle of one on a hub, or the
                name of an architecture, as `from_preset` of the backbone takes
                it. A preset of a backbone alone, or of another task, gives a
                task with a new head, and a warning.
            load_weights: bool. Whether to load weights. Defaults to `True`.
            **kwargs: arguments that replace those of the preset, `dtype` of
                the backbone, and `sequence_length` and `vocabulary` of the
                preprocessor's `from_preset`. With `num_classes`, or other
                `labels`, the head is new.

        Returns:
            The task.

        Raises:
            CheckpointError: if a file of the preset is damaged or untrusted.
                It is a `ValueError`.
            FileNotFoundError: if a file of the preset is missing.
            ValueError: if a new head needs `num_classes` or `labels`.
        """
        task: Self = load_task(cls, preset, load_weights, kwargs)
        return task

    def save_to_preset(
        self, preset_dir: AnyPath, max_shard_size: float = 10
    ) -> None:
        """Saves the task as a preset, for `from_preset`.

        It writes configurations, the weights with LoRA merged, the tokenizer
        of a task with a preprocessor, and a model card `README.md`, which
        stays if it was edited; not the state of the optimizer. Files are
        written to a temporary name and then moved.

        Args:
            preset_dir: path of the folder. A model in it is replaced; a
                tokenizer or preprocessor that was saved there stays.
            max_shard_size: float. Size in GB above which the weights of the
                backbone are stored in several files. Defaults to `10`.
        """
        save = super().save_to_preset
        save_model(
            self,
            preset_dir,
            lambda folder: save(folder, max_shard_size=max_shard_size),
        )

    def layer_costs(
        self,
        length: int,
        size: ElementBytes,
        dense_lookup: bool = False,
    ) -> list[LayerCost]:
        """Parameters, FLOPs and activations of each layer.

        Args:
            length: int. Tokens of the sequence.
            size: `ElementBytes`.
            dense_lookup: bool. Whether lookups of embeddings count as
                products with the whole table. Defaults to `False`.

        Returns:
            A list of `LayerCost`, in the order of the computation.
        """
        backbone: Any = self.backbone
        rows: list[LayerCost] = backbone.layer_costs(
            backbone.get_config(), length, size, dense_lookup
        )
        return [*rows, *head_costs(self, length, size)]
