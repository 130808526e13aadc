from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.layers.validation import check_rates
from keras_convbert.models.base.head_policies import head_config
from keras_convbert.models.base.head_policies import head_policy
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.base.label_losses import default_metrics
from keras_convbert.models.base.label_losses import form_of_labels
from keras_convbert.models.base.label_losses import loss_labels
from keras_convbert.models.base.label_losses import warn_of_mismatch
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_multiple_choice_preprocessor import (  # noqa: E501
    ConvBertMultipleChoicePreprocessor,
)
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.layers.flatten_choices import FlattenChoices
from keras_convbert.models.convbert.layers.unflatten_choices import (
    UnflattenChoices,
)
from keras_convbert.text.class_labels import IDS
from keras_convbert.text.class_labels import check_class_ids
from keras_convbert.text.class_labels import check_shape
from keras_convbert.types import Activation
from keras_convbert.types import Config
from keras_convbert.types import Tensor

POOLINGS = ("first", "last", "mean")


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertMultipleChoice(ConvBertTask, keras_hub.models.Task):
    """ConvBERT that selects one of several choices for a context.

    Each choice is encoded with its context, and a head gives it a score. The
    head is that of `ConvBertForMultipleChoice` of Hugging Face `transformers`:
    pooling, dropout, an optional projection, an activation, dropout, and a
    dense layer with one output.

    Args:
        backbone: a `ConvBertBackbone`.
        preprocessor: a `ConvBertMultipleChoicePreprocessor`; `None` expects
            preprocessed inputs. Defaults to `None`.
        pooling: string. `"first"` takes the vector of `[CLS]`. `"last"` takes
            the last position and `"mean"` the mean of all positions, both
            with padding, as `transformers` does. Defaults to `"first"`.
        projection: bool. Whether to apply a dense layer to the pooled vector.
            Defaults to `False`.
        activation: activation after the projection. Defaults to `None`.
        dropout: float. Fraction of features dropped before the output layer
            in training. Defaults to `0.1`.
        first_dropout: float. Fraction of features dropped before the
            projection in training. Defaults to `0.0`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone, each of shape
            `(batch, choices, length)`. The number of choices may vary between
            batches.

    Output shape:
        `(batch, choices)`, the logits of the choices.

    Raises:
        ValueError: if `pooling` is unknown, or the preprocessor does not fit
            the backbone.

    Example:

    ```python
    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertMultipleChoice
    from keras_convbert.models import ConvBertMultipleChoicePreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "rain", "wet"]
    task = ConvBertMultipleChoice(
        ConvBertBackbone(
            vocabulary_size=len(tokens),
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=16,
        ),
        preprocessor=ConvBertMultipleChoicePreprocessor(
            ConvBertTokenizer(tokens), sequence_length=8
        ),
    )
    contexts = ["rain", "rain rain"]
    choices = [["wet", "dry"], ["dry", "wet"]]
    task.fit((contexts, choices), [0, 1], verbose=0)
    task.predict((contexts, choices), verbose=0).argmax(-1)  # (2,)
    ```

    Reference:
        - [GPT](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf),
          section 3.3
    """

    preprocessor_cls = ConvBertMultipleChoicePreprocessor
    task_kind = "multiple_choice"
    needs_labels = True

    def __init__(
        self,
        backbone: ConvBertBackbone,
        preprocessor: ConvBertMultipleChoicePreprocessor | None = None,
        pooling: str = "first",
        projection: bool = False,
        activation: Activation = None,
        dropout: float = 0.1,
        first_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if pooling not in POOLINGS:
            raise ValueError(
                f"Invalid value for argument `pooling`. Expected one of "
                f"{POOLINGS}. Received: pooling={pooling!r}"
            )
        check_rates(dropout=dropout, first_dropout=first_dropout)
        check_fits(backbone, preprocessor)
        dtype = head_policy(backbone, kwargs)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.head_layers = [
            keras.layers.Dropout(
                first_dropout, dtype=dtype, name="first_dropout"
            )
        ]
        if projection:
            self.head_layers.append(
                keras.layers.Dense(
                    backbone.hidden_dim,
                    kernel_initializer=_initializer(),
                    dtype=policy_at(dtype, "summary"),
                    name="summary",
                )
            )
        self.head_layers += [
            keras.layers.Activation(
                activation, dtype=dtype, name="summary_activation"
            ),
            keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout"),
            keras.layers.Dense(
                1,
                kernel_initializer=_initializer(),
                dtype=policy_at(dtype, "logits"),
                name="logits",
            ),
        ]

        # === Functional Model ===
        inputs, flat = _inputs(backbone)
        x = _pooled(backbone(flat), pooling)  # (B N, D)
        for layer in self.head_layers:
            x = layer(x)
        unflatten = UnflattenChoices(dtype=dtype, name="unflatten_choices")
        x = unflatten(x, inputs["token_ids"])  # (B, N)
        super().__init__(inputs=inputs, outputs=x, **kwargs)

        # === Config ===
        self.pooling = pooling
        self.projection = projection
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.first_dropout = first_dropout

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        metrics: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            optimizer: optimizer, or its name; `"auto"` is `training.AdamW`
                with a learning rate of 0.00005. Defaults to `"auto"`.
            loss: loss, or its name; `"auto"` is the cross-entropy of integer
                labels, the numbers of the right choices. Defaults to
                `"auto"`.
            metrics: list of metrics; `"auto"` is the accuracy for the labels
                of the loss. Defaults to `"auto"`.
            **kwargs: arguments of `keras.Model.compile`.
        """
        if isinstance(loss, str) and loss == "auto":
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        warn_of_mismatch(loss, keras.activations.linear)
        if isinstance(metrics, str) and metrics == "auto":
            metrics = default_metrics(
                loss_labels(loss), gives_logits=True, num_classes=2
            )
        super().compile(
            optimizer=optimizer, loss=loss, metrics=metrics, **kwargs
        )

    def preprocess_samples(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> Any:
        x = super().preprocess_samples(x)
        num_choices = x["token_ids"].shape[1]
        # It is unknown in a graph for tensors of unknown shape.
        if y is not None and self.compiled and num_choices is not None:
            _refuse_names(y)
            form = form_of_labels(self.loss, y, num_choices)
            if form is not None:
                check_shape(y, num_choices, form)
            if form == IDS:
                y = check_class_ids(y, num_choices, "choices")
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            **head_config(self),
            "pooling": self.pooling,
            "projection": self.projection,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "first_dropout": self.first_dropout,
        }


def _inputs(
    backbone: ConvBertBackbone,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Returns inputs `(B, N, T)`, and the same as `(B N, T)`."""
    inputs = {
        name: keras.Input((None, None), dtype="int32", name=name)
        for name in backbone.input
    }
    flat = {
        name: FlattenChoices(dtype="int32", name=f"flatten_{name}")(values)
        for name, values in inputs.items()
    }
    return inputs, flat


def _pooled(outputs: dict[str, Tensor], pooling: str) -> Tensor:
    if pooling == "first":
        return outputs["pooled_output"]
    if pooling == "last":
        return outputs["sequence_output"][:, -1, :]
    return ops.mean(outputs["sequence_output"], axis=1)


def _refuse_names(y: Any) -> None:
    is_list = isinstance(y, (list, tuple))
    dtype = np.asarray(y).dtype if is_list else getattr(y, "dtype", None)
    if dtype == "string" or getattr(dtype, "kind", "") in ("O", "U", "S"):
        raise ValueError(
            "Expected labels that are the numbers of the right choices, from "
            f"0. Received: y={y!r:.80}"
        )


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=0.02)
