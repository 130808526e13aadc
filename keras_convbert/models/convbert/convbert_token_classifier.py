import re
from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.models.base.batch_prediction import predict_batch
from keras_convbert.models.base.batch_prediction import required_preprocessor
from keras_convbert.models.base.head_policies import head_config
from keras_convbert.models.base.head_policies import head_policy
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.base.label_losses import warn_of_mismatch
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.convbert_token_classifier_preprocessor import (  # noqa: E501
    ConvBertTokenClassifierPreprocessor,
)
from keras_convbert.text.class_weights import class_weights
from keras_convbert.text.entity_spans import entity_spans
from keras_convbert.text.word_labels import check_labels
from keras_convbert.text.word_windows import NO_WORD
from keras_convbert.training import EntityF1
from keras_convbert.types import Config

TAG = re.compile("O|[BIESLU]-.+")


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTokenClassifier(ConvBertTask, keras_hub.models.Task):
    """ConvBERT for token classification: predicts a label per word.

    The first piece of a word predicts its label. Long sentences are cut into
    overlapping windows, whose labels are merged.

    Args:
        backbone: a `ConvBertBackbone`.
        labels: sequence of strings. The labels, such as `"O"` and `"B-PER"`, in
            the order of their ids.
        preprocessor: a `ConvBertTokenClassifierPreprocessor` with the same
            labels; `None` expects preprocessed inputs. Defaults to `None`.
        dropout: float. Fraction of features dropped before the output layer
            in training. Defaults to `0.1`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone.

    Output shape:
        `(batch, length, labels)`, the logits.

    Raises:
        ValueError: if labels are not unique or differ from those of the
            preprocessor, or if the preprocessor does not fit the backbone.

    Example:

    ```python
    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertTokenClassifier
    from keras_convbert.models import ConvBertTokenClassifierPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "to", "rome"]
    labels = ["O", "B-LOC", "I-LOC"]
    tagger = ConvBertTokenClassifier(
        ConvBertBackbone(
            vocabulary_size=len(tokens),
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=16,
        ),
        labels,
        preprocessor=ConvBertTokenClassifierPreprocessor(
            ConvBertTokenizer(tokens), labels, sequence_length=8
        ),
    )
    tagger.fit([["to", "Rome"], ["Rome"]], [["O", "B-LOC"], ["B-LOC"]])
    tagger.predict_labels([["to", "Rome"]])  # as [["O", "B-LOC"]]
    ```

    Reference:
        - [BERT](https://arxiv.org/abs/1810.04805), section 5.3
    """

    preprocessor_cls = ConvBertTokenClassifierPreprocessor
    task_kind = "token_classifier"
    needs_labels = True

    def __init__(
        self,
        backbone: ConvBertBackbone,
        labels: Sequence[str],
        preprocessor: ConvBertTokenClassifierPreprocessor | None = None,
        dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        labels = check_labels(labels)
        if preprocessor is not None and preprocessor.labels != labels:
            raise ValueError(
                "Expected the labels of the preprocessor, "
                f"{preprocessor.labels}. Received: labels={labels}"
            )
        check_fits(backbone, preprocessor)
        dtype = head_policy(backbone, kwargs)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.output_dropout = keras.layers.Dropout(
            dropout, dtype=dtype, name="output_dropout"
        )
        self.output_dense = keras.layers.Dense(
            len(labels),
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            dtype=policy_at(dtype, "logits"),
            name="logits",
        )
        # The constructor of the base class compiles, which needs it.
        self.labels = labels

        # === Functional Model ===
        x = backbone(backbone.input)["sequence_output"]
        outputs = self.output_dense(self.output_dropout(x))
        super().__init__(inputs=backbone.input, outputs=outputs, **kwargs)

        # === Config ===
        self.dropout = dropout

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        weighted_metrics: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            optimizer: optimizer, or its name; `"auto"` is `training.AdamW`
                with a learning rate of 0.00005. Defaults to `"auto"`.
            loss: loss, or its name; `"auto"` is the mean cross-entropy of
                the words. Defaults to `"auto"`.
            weighted_metrics: list of metrics; `"auto"` is the accuracy, and
                `training.EntityF1` if all labels are tags such as `"B-PER"`.
                Defaults to `"auto"`.
            **kwargs: arguments of `keras.Model.compile`.
        """
        if isinstance(loss, str) and loss == "auto":
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            )
        warn_of_mismatch(loss, keras.activations.linear)
        if isinstance(weighted_metrics, str) and weighted_metrics == "auto":
            weighted_metrics = [
                keras.metrics.SparseCategoricalAccuracy(name="accuracy")
            ]
            if all(TAG.fullmatch(label) for label in self.labels):
                weighted_metrics.append(EntityF1(self.labels))
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            **kwargs,
        )

    def weigh_classes(
        self, x: Any, y: Any, sample_weight: Any = None, *, class_weight: Any
    ) -> tuple[Any, Any, Any]:
        """Multiplies the weights of words by those of their labels.

        `fit` calls it with preprocessed batches.

        Args:
            x: inputs of the model.
            y: label ids of shape `(batch, length)`, an array, or a tensor in
                a TensorFlow graph.
            sample_weight: weights, shaped as `y`. Defaults to `None`.
            class_weight: dict of labels or label ids to weights. Other labels
                have the weight 1.

        Raises:
            ValueError: if a label is unknown or repeated, or a weight is
                negative or not finite.
        """
        weights = class_weights(self.labels, len(self.labels), class_weight)
        if isinstance(y, np.ndarray):
            weights = weights[y]
        else:
            import tensorflow as tf

            weights = tf.gather(weights, y)
        if sample_weight is not None:
            weights = weights * sample_weight
        return x, y, weights

    def predict_labels(
        self,
        sentences: Any,
        batch_size: int = 32,
        return_probabilities: bool = False,
    ) -> Any:
        """Returns the label of each word.

        Args:
            sentences: list of lists of strings, or a ragged tensor.
            batch_size: int. Windows per step. Defaults to `32`.
            return_probabilities: bool. Whether to return the probabilities of
                the labels too. Defaults to `False`.

        Returns:
            A list of labels per sentence, one per word. With
            `return_probabilities` a tuple of this and of the probabilities of
            these labels, lists of floats of the same form.

        Raises:
            ValueError: if the task has no preprocessor.
        """
        labels, probabilities = self._predict(sentences, batch_size)
        return (labels, probabilities) if return_probabilities else labels

    def predict_spans(
        self,
        sentences: Any,
        batch_size: int = 32,
        return_probabilities: bool = False,
    ) -> Any:
        """Returns the entities of labels in the schemes BIO, IOB1 or BIOES.

        Args:
            sentences: list of lists of strings, or a ragged tensor.
            batch_size: int. Windows per step. Defaults to `32`.
            return_probabilities: bool. Whether to return the probabilities of
                the entities too. Defaults to `False`.

        Returns:
            A list of `(label, start, end)` per sentence. An entity consists of
            the words `start` to `end - 1`. With `return_probabilities` a tuple
            of this and of the probabilities of the entities, a list of floats
            per sentence: the mean of the probabilities of their words, as
            Hugging Face `transformers` computes it.

        Raises:
            ValueError: if the task has no preprocessor.
        """
        labels, probabilities = self._predict(sentences, batch_size)
        spans = [entity_spans(of_words) for of_words in labels]
        if not return_probabilities:
            return spans
        return spans, [
            [float(np.mean(of_words[s.start : s.end])) for s in found]
            for of_words, found in zip(probabilities, spans, strict=True)
        ]

    def _predict(
        self, sentences: Any, batch_size: int
    ) -> tuple[list[list[str]], list[list[float]]]:
        """Returns the labels of words and the probabilities of the labels."""
        preprocessor = required_preprocessor(self)
        windows = preprocessor.windows(sentences)
        found: dict[int, dict[int, tuple[str, float]]] = {
            window.sentence: {} for window in windows
        }
        for first in range(0, len(windows), batch_size):
            part = windows[first : first + batch_size]
            inputs = preprocessor.collate([window.ids for window in part])
            logits = predict_batch(self, inputs, batch_size)
            best = logits.argmax(-1)
            # The softmax of the highest logit.
            above = logits - logits.max(-1, keepdims=True)
            probabilities = 1.0 / np.exp(above).sum(-1)
            for i, window in enumerate(part):
                for piece in np.flatnonzero(window.words != NO_WORD):
                    # Pieces follow `[CLS]`.
                    at = (i, piece + 1)
                    found[window.sentence][int(window.words[piece])] = (
                        self.labels[best[at]],
                        float(probabilities[at]),
                    )
        rows = [[of[i] for i in sorted(of)] for of in found.values()]
        return (
            [[label for label, _ in row] for row in rows],
            [[probability for _, probability in row] for row in rows],
        )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            **head_config(self),
            "labels": self.labels,
            "dropout": self.dropout,
        }
