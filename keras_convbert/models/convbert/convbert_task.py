from typing import Any

from keras_convbert.layers.validation import check_no_others
from keras_convbert.models.base import checked_weights
from keras_convbert.models.base import trainer
from keras_convbert.models.base import training_state
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.transformers import (
    export as transformers_export,
)
from keras_convbert.models.presets import saving
from keras_convbert.models.presets import task_loading
from keras_convbert.training import AdamW
from keras_convbert.types import Config


class ConvBertTask:
    """What the tasks have in common; first of the bases of each.

    It is no `keras.Model`, which Keras allows once among the bases.

    Samples in memory, shuffled in each epoch; presets of KerasHub's and of
    Hugging Face's form; weights that are loaded whole or not at all; `.keras`
    files from which training goes on as if it had not stopped.
    """

    backbone_cls = ConvBertBackbone

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_no_others(
            kwargs, "inputs", "outputs", "name", "trainable", "compile"
        )
        super().__init__(*args, **kwargs)

    def compile(
        self, optimizer: Any = "auto", *args: Any, **kwargs: Any
    ) -> None:
        """Sets up training.

        Args:
            optimizer: optimizer, or its name; `"auto"` is `training.AdamW`
                at a rate of 0.00005. Defaults to `"auto"`.
            *args: arguments of `keras.Model.compile`.
            **kwargs: arguments of `keras.Model.compile`.
        """
        if isinstance(optimizer, str) and optimizer == "auto":
            optimizer = AdamW(5e-5)
        super().compile(optimizer, *args, **kwargs)  # type: ignore[misc]

    def _refuse_loss(self, arguments: Config) -> None:
        """Takes out `loss`, of a task that has its own; an error if given."""
        if arguments.pop("loss", None) is not None:
            raise ValueError(
                f"`{type(self).__name__}` has a loss of its own. Expected no "
                "argument `loss`."
            )

    fit = trainer.fit
    evaluate = trainer.evaluate
    predict = trainer.predict

    from_preset = classmethod(task_loading.from_preset)
    save_to_preset = saving.save_model
    export_to_transformers = transformers_export.export_task

    load_weights = checked_weights.load_weights
    save_task_weights = training_state.save_task_weights
    load_task_weights = training_state.load_task_weights
    save_assets = training_state.save_assets
    load_assets = training_state.load_assets
    compile_from_config = training_state.compile_from_config
