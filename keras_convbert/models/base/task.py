from collections.abc import Mapping
from typing import Any
from typing import ClassVar
from typing import Self

from keras_convbert.compat import ClonesFromConfig
from keras_convbert.files import AnyPath
from keras_convbert.layers.validation import check_no_others
from keras_convbert.models.base.checked_weights import CheckedWeights
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.base.layer_costs import LayerCost
from keras_convbert.models.base.layer_costs import head_costs
from keras_convbert.models.base.merged_quantization import MergedQuantization
from keras_convbert.models.base.resized_embeddings import ResizesTokenEmbeddings
from keras_convbert.models.base.trainer import Trainer
from keras_convbert.models.base.training_state import TrainingState
from keras_convbert.models.presets.saving import save_model
from keras_convbert.models.presets.task_loading import load_task
from keras_convbert.training import AdamW
from keras_convbert.types import Config


class Task(
    ResizesTokenEmbeddings,
    Trainer,
    TrainingState,
    MergedQuantization,
    CheckedWeights,
    ClonesFromConfig,
):
    """Base of the tasks of all families, the first base of each.

    It is not a `keras.Model`, since Keras allows only one model among the
    bases. A subclass sets `backbone_cls`, `preprocessor_cls` and `task_kind`.

    Tasks shuffle in-memory samples in each epoch, open presets in the formats
    of KerasHub and of other libraries, check weights before loading, and
    resume training from `.keras` files.
    """

    task_kind: ClassVar[str]
    """The kind of task, such as `"text_classifier"`; selects the serving."""
    needs_labels: ClassVar[bool] = False
    """Whether samples need labels in `fit` and `evaluate`."""

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
        """Removes `loss` from the arguments, or raises `ValueError`."""
        loss = arguments.pop("loss", None)
        if loss is not None:
            raise ValueError(
                f"Expected no argument `loss`, since `{type(self).__name__}` "
                f"computes its own loss. Received: loss={loss}"
            )

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Makes a new task, with new weights, from `get_config`.

        Args:
            config: dict that `get_config` returned; it is not changed.

        Returns:
            A task of this class.
        """
        # KerasHub replaces the entries of the dict by the objects it makes,
        # which a second task of the same dict would share.
        task: Self = super().from_config({**config})
        return task

    @classmethod
    def from_preset(
        cls,
        preset: AnyPath,
        load_weights: bool = True,
        custom_objects: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Makes a task from a preset.

        Args:
            preset: path or string. A folder in the format of KerasHub or of
                Hugging Face `transformers`, the handle of such a folder on a
                hub, or the name of an architecture, as in `from_preset` of
                the backbone. A preset of a backbone or of another task gives
                a task with a new head, and a warning.
            load_weights: bool. Whether to load weights. Defaults to `True`.
            custom_objects: dict of classes and functions outside of this
                library that the preset may name. This class, and the classes
                that it uses, need no entry. Defaults to `None`.
            **kwargs: arguments that replace those of the preset; `dtype` of
                the backbone; `sequence_length` and `vocabulary` for
                `from_preset` of the preprocessor. `num_classes` or different
                `labels` give a new head; `labels` may name the classes of a
                head without names.

        Returns:
            The task.

        Raises:
            CheckpointError: if a file of the preset is damaged or untrusted.
                It is a `ValueError`.
            FileNotFoundError: if a file of the preset is missing.
            ValueError: if a new head needs `num_classes` or `labels`.
        """
        task: Self = load_task(
            cls, preset, load_weights, kwargs, custom_objects
        )
        return task

    def save_to_preset(
        self, preset_dir: AnyPath, max_shard_size: float = 10
    ) -> None:
        """Saves the task as a preset, for `from_preset`.

        It writes configurations, the weights with LoRA merged, the tokenizer
        of a task with a preprocessor, and the model card `README.md`; an
        edited model card is kept. It does not write the state of the
        optimizer. Files are written to a temporary name and then moved.

        Args:
            preset_dir: path of the folder. A model in it is replaced; a saved
                tokenizer or preprocessor is kept.
            max_shard_size: float. Size in GB above which the weights of the
                backbone are stored in several files. Defaults to `10`.

        Raises:
            ValueError: if the tokenizer has more tokens than the backbone has
                embeddings.
        """
        check_fits(self.backbone, self.preprocessor)
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
        """Returns the parameters, FLOPs and activations of each layer.

        Args:
            length: int. Number of tokens per sequence.
            size: `ElementBytes`. Bytes per stored element.
            dense_lookup: bool. Whether embedding lookups count as matrix
                products with the whole table. Defaults to `False`.

        Returns:
            A list of `LayerCost`, in the order of execution.
        """
        backbone: Any = self.backbone
        costs: list[LayerCost] = backbone.layer_costs(
            backbone.get_config(), length, size, dense_lookup
        )
        return [*costs, *head_costs(self, length, size)]
