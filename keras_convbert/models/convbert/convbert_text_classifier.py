from typing import Any

import keras
import keras_hub

from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.models.base.head_policies import head_config
from keras_convbert.models.base.head_policies import head_policy
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.convbert_text_classifier_preprocessor import (  # noqa: E501
    ConvBertTextClassifierPreprocessor,
)
from keras_convbert.models.convbert.tf1.loading import TextClassifierFromTf1
from keras_convbert.text.class_labels import check_class_ids
from keras_convbert.text.class_labels import check_finite
from keras_convbert.text.class_labels import check_probabilities
from keras_convbert.training import PearsonCorrelation
from keras_convbert.types import Activation
from keras_convbert.types import Config


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTextClassifier(
    TextClassifierFromTf1, ConvBertTask, keras_hub.models.TextClassifier
):
    """ConvBERT for classification of texts or pairs of texts.

    `num_classes=1` gives regression, and `activation="sigmoid"` multi-label
    classification; see `compile`.

    Args:
        backbone: a `ConvBertBackbone`.
        num_classes: int. Number of classes; 1 for regression.
        preprocessor: a `ConvBertTextClassifierPreprocessor`; `None` expects
            preprocessed inputs. Defaults to `None`.
        head: string. The layers on the vector of `[CLS]`. `"linear"`, as in
            the code of the authors, is dropout and a dense output layer.
            `"dense"`, as in Hugging Face `transformers`, is dropout, a dense
            layer with the activation of the backbone, dropout and a dense
            output layer. Defaults to `"linear"`.
        activation: activation of the output: `None` for logits or regression,
            `"softmax"`, or `"sigmoid"`. Defaults to `None`.
        dropout: float. Fraction of features dropped in the head in training.
            Defaults to `0.1`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone.

    Output shape:
        `(batch, num_classes)`.

    Raises:
        ValueError: if `head` is unknown, `num_classes` is not positive, or
            the preprocessor does not fit the backbone.

    Example:

    ```python
    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertTextClassifier
    from keras_convbert.models import ConvBertTextClassifierPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
    classifier = ConvBertTextClassifier(
        ConvBertBackbone(
            vocabulary_size=len(tokens),
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=16,
        ),
        num_classes=2,
        preprocessor=ConvBertTextClassifierPreprocessor(
            ConvBertTokenizer(tokens), sequence_length=8
        ),
    )
    classifier.fit(["good", "bad"], [1, 0], verbose=0)
    classifier.predict(["good good"], verbose=0).shape  # (1, 2)
    ```

    Reference:
        - [BERT](https://arxiv.org/abs/1810.04805), section 4.1
    """

    preprocessor_cls = ConvBertTextClassifierPreprocessor
    task_kind = "text_classifier"

    def __init__(
        self,
        backbone: ConvBertBackbone,
        num_classes: int,
        preprocessor: ConvBertTextClassifierPreprocessor | None = None,
        head: str = "linear",
        activation: Activation = None,
        dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        if head not in ("linear", "dense"):
            raise ValueError(
                'Invalid value for argument `head`. Expected "linear" or '
                f'"dense". Received: head={head!r}'
            )
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(
                "Invalid value for argument `num_classes`. Expected a "
                f"positive integer. Received: num_classes={num_classes!r}"
            )
        check_fits(backbone, preprocessor)
        dtype = head_policy(backbone, kwargs)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.pooled_dropout = keras.layers.Dropout(
            dropout, dtype=dtype, name="pooled_dropout"
        )
        self.head_layers = [self.pooled_dropout]
        if head == "dense":
            self.pooled_dense = keras.layers.Dense(
                backbone.hidden_dim,
                activation=backbone.activation,
                kernel_initializer=keras.initializers.TruncatedNormal(
                    stddev=0.02
                ),
                dtype=policy_at(dtype, "pooled_dense"),
                name="pooled_dense",
            )
            self.output_dropout = keras.layers.Dropout(
                dropout, dtype=dtype, name="output_dropout"
            )
            self.head_layers += [self.pooled_dense, self.output_dropout]
        self.output_dense = keras.layers.Dense(
            num_classes,
            activation=activation,
            dtype=policy_at(dtype, "logits"),
            name="logits",
        )
        self.head_layers.append(self.output_dense)
        # The constructor of the base class compiles, which needs it.
        self.activation = keras.activations.get(activation)

        # === Functional Model ===
        x = backbone(backbone.input)["pooled_output"]
        for layer in self.head_layers:
            x = layer(x)
        super().__init__(inputs=backbone.input, outputs=x, **kwargs)

        # === Config ===
        self.num_classes = num_classes
        self.head = head
        self.dropout = dropout

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
                labels; for `num_classes=1` the mean squared error; for
                `activation="sigmoid"` the binary cross-entropy of labels of
                shape `(batch, num_classes)`. Defaults to `"auto"`.
            metrics: list of metrics; `"auto"` is the accuracy, or
                `training.PearsonCorrelation` for `num_classes=1`. Defaults to
                `"auto"`.
            **kwargs: arguments of `keras.Model.compile`.
        """
        sigmoid = self.activation is keras.activations.sigmoid
        if isinstance(loss, str) and loss == "auto":
            if sigmoid:
                loss = keras.losses.BinaryCrossentropy()
            elif self.output_dense.units == 1:
                loss = keras.losses.MeanSquaredError()
        if isinstance(metrics, str) and metrics == "auto":
            if sigmoid:
                metrics = [keras.metrics.BinaryAccuracy(name="accuracy")]
            elif self.output_dense.units == 1:
                metrics = [PearsonCorrelation()]
        super().compile(
            optimizer=optimizer, loss=loss, metrics=metrics, **kwargs
        )

    def check_labels(self, y: Any) -> Any:
        """Returns the labels, or raises an error if the loss cannot use them.

        Args:
            y: array or tensor.

        Raises:
            ValueError: if a label is not finite, not a class id, or, in
                multi-label classification, not between 0 and 1.
        """
        if isinstance(self.loss, keras.losses.SparseCategoricalCrossentropy):
            return check_class_ids(y, self.num_classes)
        if isinstance(self.loss, keras.losses.BinaryCrossentropy):
            return check_probabilities(y)
        return check_finite(y)

    def preprocess_samples(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> Any:
        if y is not None and self.compiled:
            y = self.check_labels(y)
        return super().preprocess_samples(x, y, sample_weight)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            **head_config(self),
            "num_classes": self.num_classes,
            "head": self.head,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
        }
