from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.models.base import problem_types
from keras_convbert.models.base.class_prediction import class_logits
from keras_convbert.models.base.class_prediction import probabilities_of
from keras_convbert.models.base.head_policies import head_config
from keras_convbert.models.base.head_policies import head_policy
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.base.label_losses import BY_SHAPE
from keras_convbert.models.base.label_losses import default_loss
from keras_convbert.models.base.label_losses import default_metrics
from keras_convbert.models.base.label_losses import form_of_labels
from keras_convbert.models.base.label_losses import loss_labels
from keras_convbert.models.base.label_losses import warn_of_mismatch
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.convbert_text_classifier_preprocessor import (  # noqa: E501
    ConvBertTextClassifierPreprocessor,
)
from keras_convbert.models.convbert.tf1.loading import TextClassifierFromTf1
from keras_convbert.text import class_labels
from keras_convbert.text.class_weights import class_weights
from keras_convbert.types import Activation
from keras_convbert.types import Config

# The problem type that labels of a form imply.
PROBLEM_TYPES = {
    class_labels.IDS: problem_types.SINGLE_LABEL,
    class_labels.ONE_HOT: problem_types.SINGLE_LABEL,
    BY_SHAPE: problem_types.SINGLE_LABEL,
    class_labels.VECTORS: problem_types.MULTI_LABEL,
    class_labels.NUMBERS: problem_types.REGRESSION,
}
# The form that names of classes are converted to.
FORMS_OF_NAMES = {
    problem_types.SINGLE_LABEL: class_labels.IDS,
    problem_types.MULTI_LABEL: class_labels.VECTORS,
    problem_types.REGRESSION: class_labels.NUMBERS,
}


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTextClassifier(
    TextClassifierFromTf1, ConvBertTask, keras_hub.models.TextClassifier
):
    """ConvBERT for classification of texts or pairs of texts.

    `num_classes=1` gives regression, and `activation="sigmoid"` multi-label
    classification; see `compile`.

    Args:
        backbone: a `ConvBertBackbone`.
        num_classes: int. Number of classes; 1 for regression; `None` is the
            number of `labels`. Defaults to `None`.
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
        labels: sequence of strings. The names of the classes, in the order of
            their ids. `fit` and `evaluate` then also take names as labels,
            and `predict_labels` returns names. Defaults to `None`.
        problem_type: string. `"single_label_classification"`,
            `"multi_label_classification"` or `"regression"`, as in
            `transformers`. `None` follows from `activation` and
            `num_classes`. Set it for logits of several labels, and for
            regression with several outputs. Defaults to `None`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone.

    Output shape:
        `(batch, num_classes)`.

    Raises:
        ValueError: if `head` is unknown, `num_classes` is not positive or not
            the number of `labels`, `problem_type` contradicts `activation`,
            or the preprocessor does not fit the backbone.

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
        preprocessor=ConvBertTextClassifierPreprocessor(
            ConvBertTokenizer(tokens), sequence_length=8
        ),
        labels=["negative", "positive"],
    )
    classifier.fit(["good", "bad"], ["positive", "negative"], verbose=0)
    classifier.predict(["good good"], verbose=0).shape  # (1, 2)
    classifier.predict_labels(["good good"])  # as ["positive"]
    ```

    Reference:
        - [BERT](https://arxiv.org/abs/1810.04805), section 4.1
    """

    preprocessor_cls = ConvBertTextClassifierPreprocessor
    task_kind = "text_classifier"
    needs_labels = True

    def __init__(
        self,
        backbone: ConvBertBackbone,
        num_classes: int | None = None,
        preprocessor: ConvBertTextClassifierPreprocessor | None = None,
        head: str = "linear",
        activation: Activation = None,
        dropout: float = 0.1,
        labels: Sequence[str] | None = None,
        problem_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        if head not in ("linear", "dense"):
            raise ValueError(
                'Invalid value for argument `head`. Expected "linear" or '
                f'"dense". Received: head={head!r}'
            )
        labels, num_classes = class_labels.check_class_names(
            labels, num_classes
        )
        problem_type = problem_types.resolve_problem_type(
            problem_type, activation, num_classes
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
        # The constructor of the base class compiles, which needs these.
        self.activation = keras.activations.get(activation)
        self.num_classes = num_classes
        self.problem_type = self._default_problem_type = problem_type

        # === Functional Model ===
        x = backbone(backbone.input)["pooled_output"]
        for layer in self.head_layers:
            x = layer(x)
        super().__init__(inputs=backbone.input, outputs=x, **kwargs)

        # === Config ===
        self.head = head
        self.dropout = dropout
        self.labels = labels

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
            loss: loss, or its name; `"auto"` follows `problem_type`: the
                cross-entropy of class ids; for `"regression"` the mean squared
                error; for `"multi_label_classification"` the binary
                cross-entropy of labels of shape `(batch, num_classes)`.
                Without an activation, another loss sets `problem_type` to
                that of its labels. Defaults to `"auto"`.
            metrics: list of metrics; `"auto"` follows the labels of the loss:
                the accuracy of class ids, of one-hot labels, or of several
                labels; `training.PearsonCorrelation` for a regression loss
                with one output; none for other losses. Defaults to `"auto"`.
            **kwargs: arguments of `keras.Model.compile`.
        """
        if isinstance(loss, str) and loss == "auto":
            self.problem_type = self._default_problem_type
            loss = default_loss(self.problem_type, self.activation)
        given = loss_labels(loss)
        linear = self.activation is keras.activations.linear
        if linear and given.form is not None:
            found = PROBLEM_TYPES[given.form]
            if self.num_classes > 1 or found != problem_types.SINGLE_LABEL:
                self.problem_type = found
        warn_of_mismatch(loss, self.activation)
        if isinstance(metrics, str) and metrics == "auto":
            if loss is None:
                given = loss_labels(
                    default_loss(self.problem_type, self.activation)
                )
            metrics = default_metrics(given, linear, self.num_classes)
        super().compile(
            optimizer=optimizer, loss=loss, metrics=metrics, **kwargs
        )

    def check_labels(self, y: Any) -> Any:
        """Returns the labels in numbers, or raises an error.

        The loss determines the form of labels: class ids, one-hot labels, or
        a number per output. Names of classes are converted to it.

        Args:
            y: list, array or tensor of numbers or names; in multi-label
                classification, a list of names per text.

        Raises:
            ValueError: if the loss cannot use a label: it is missing, not
                finite, not a class id, not the name of a class, or, in
                multi-label classification, not between 0 and 1.
        """
        classes = self.num_classes
        form = loss_labels(self.loss).form
        names = FORMS_OF_NAMES[self.problem_type]
        if form not in (None, BY_SHAPE):
            names = form
        y = class_labels.encode_class_names(y, self.labels, names, classes)
        form = form_of_labels(self.loss, y, classes)
        if form is not None:
            class_labels.check_shape(y, classes, form)
        if form == class_labels.IDS:
            return class_labels.check_class_ids(y, classes)
        if form in (class_labels.ONE_HOT, class_labels.VECTORS):
            return class_labels.check_probabilities(y)
        return class_labels.check_finite(y)

    def read_class_weight(self, class_weight: Any) -> dict[int, float]:
        """Returns the weight of each class id, 1 where none is given.

        `fit` calls it.

        Args:
            class_weight: dict of names or ids of classes to weights.

        Raises:
            ValueError: if a class is unknown, a weight is negative or not
                finite, or a text may have several classes or none.
        """
        if self.problem_type != problem_types.SINGLE_LABEL:
            raise ValueError(
                "Expected `sample_weight` in place of `class_weight`, since a "
                f"text does not have one class. Received: "
                f"class_weight={class_weight!r}, for a task with "
                f"problem_type={self.problem_type!r}"
            )
        weights = class_weights(self.labels, self.num_classes, class_weight)
        return dict(enumerate(weights.tolist()))

    def preprocess_samples(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> Any:
        if y is not None and self.compiled:
            y = self.check_labels(y)
        return super().preprocess_samples(x, y, sample_weight)

    def predict_labels(
        self,
        texts: Any,
        return_probabilities: bool = False,
        batch_size: int = 32,
        threshold: float = 0.5,
        long_texts: str = "truncate",
        stride: int | None = None,
        window_reduction: str = "mean",
    ) -> Any:
        """Returns the predicted class, or classes, of each text.

        Args:
            texts: list, array or tensor of strings, or a tuple of two of
                these for pairs.
            return_probabilities: bool. Whether to return the probabilities of
                all classes too. Defaults to `False`.
            batch_size: int. Texts, or windows, per step. Defaults to `32`.
            threshold: float. Probability above which a class is predicted in
                multi-label classification. Defaults to `0.5`.
            long_texts: string. What to do with texts longer than the
                `sequence_length` of the preprocessor: `"truncate"`, or
                `"window"`, which cuts them into overlapping windows and
                reduces the logits of the windows of a text. Pairs are only
                truncated. Defaults to `"truncate"`.
            stride: int. Number of pieces from the start of one window to that
                of the next one; `None` is half a window. Defaults to `None`.
            window_reduction: string. How to reduce the logits: `"mean"`, or
                `"max"` per class. With the activation `"softmax"`, logits are
                the logarithms of the probabilities. Defaults to `"mean"`.

        Returns:
            A list with one class per text: its name, or its id if the task
            has no `labels`. In multi-label classification, a list of classes
            per text. With `return_probabilities=True`, a tuple of that list
            and a float32 array of shape `(batch, num_classes)`.

        Raises:
            ValueError: if the task is a regression model or has no
                preprocessor, or an argument is invalid.
        """
        if self.problem_type == problem_types.REGRESSION:
            raise ValueError(
                "Expected a task that predicts classes. For regression use "
                "`predict`. Received: a task with "
                f"problem_type={self.problem_type!r}"
            )
        if not 0 <= threshold <= 1:
            raise ValueError(
                "Invalid value for argument `threshold`. Expected a number "
                f"from 0 to 1. Received: threshold={threshold!r}"
            )
        logits = class_logits(
            self, texts, batch_size, long_texts, stride, window_reduction
        )
        probabilities = probabilities_of(self, logits)
        names = self.labels or [*range(self.num_classes)]
        found: list[Any]
        if self.problem_type == problem_types.MULTI_LABEL:
            found = [
                [names[i] for i in np.flatnonzero(row > threshold)]
                for row in probabilities
            ]
        else:
            found = [names[i] for i in probabilities.argmax(-1)]
        return (found, probabilities) if return_probabilities else found

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            **head_config(self),
            "num_classes": self.num_classes,
            "head": self.head,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "labels": self.labels,
            "problem_type": self._stated_problem_type(),
        }

    def _stated_problem_type(self) -> str | None:
        """Returns the problem type unless other arguments imply it."""
        implied = problem_types.resolve_problem_type(
            None, self.activation, self.num_classes
        )
        return None if implied == self.problem_type else self.problem_type
