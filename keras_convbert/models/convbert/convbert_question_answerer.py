from typing import Any

import keras
import keras_hub
import numpy as np
from keras import ops

from keras_convbert.compat import scale_loss_for_distribution
from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.base.batch_prediction import predict_batch
from keras_convbert.models.base.batch_prediction import required_preprocessor
from keras_convbert.models.base.head_policies import head_config
from keras_convbert.models.base.head_policies import head_policy
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_question_answerer_preprocessor import (  # noqa: E501
    ConvBertQuestionAnswererPreprocessor,
)
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.layers.span_end_head import SpanEndHead
from keras_convbert.ops.precision import upcast
from keras_convbert.ops.sizes import first_or_zeros
from keras_convbert.text.answer_search import BEAM
from keras_convbert.text.answer_search import EXCLUDED
from keras_convbert.text.answer_search import Candidate
from keras_convbert.text.answer_search import best_answers
from keras_convbert.text.answer_search import candidates
from keras_convbert.text.answer_search import no_answer
from keras_convbert.text.answer_spans import as_texts
from keras_convbert.types import Config
from keras_convbert.types import Tensor

ANSWERABLE_WEIGHT = 0.5


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertQuestionAnswerer(ConvBertTask, keras_hub.models.Task):
    """ConvBERT for extractive question answering.

    It finds the answer to a question as a span of a context. Long contexts are
    cut into overlapping windows, and the best answer of all windows is
    returned.

    Args:
        backbone: a `ConvBertBackbone`.
        preprocessor: a `ConvBertQuestionAnswererPreprocessor`; `None` expects
            preprocessed inputs. Defaults to `None`.
        head: string. `"linear"`, as in Hugging Face `transformers`, scores
            starts and ends independently by a dense layer. `"joint"`, as in
            the code of the authors, scores the ends for each start in a beam,
            and whether the question has no answer. Defaults to `"linear"`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone.

    Output shape:
        Dict of `start_logits` and `end_logits`, both of shape
        `(batch, length)`. With the head `"joint"`, `end_logits` has the shape
        `(batch, beam, length)` for the start positions `starts`,
        `(batch, beam)`, and the dict also holds `no_answer_logits`,
        `(batch,)`, and `sequence_output`.

    Raises:
        ValueError: if `head` is unknown, or the preprocessor does not fit the
            backbone.

    Example:

    ```python
    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertQuestionAnswerer
    from keras_convbert.models import ConvBertQuestionAnswererPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "an", "ann"]
    answerer = ConvBertQuestionAnswerer(
        ConvBertBackbone(
            vocabulary_size=len(tokens),
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=16,
        ),
        preprocessor=ConvBertQuestionAnswererPreprocessor(
            ConvBertTokenizer(tokens), sequence_length=16, max_question_length=4
        ),
    )
    answers = {"text": ["Ann"], "answer_start": [3]}
    answerer.fit((["Who"], ["an Ann"]), answers, verbose=0)
    answerer.predict_answers(["Who"], ["an Ann"])
    # such as [{"text": "Ann", "start": 3, "end": 6, "score": 0.4}]
    ```

    Reference:
        - [BERT](https://arxiv.org/abs/1810.04805), section 4.2
        - [ELECTRA](https://arxiv.org/abs/2003.10555), appendix B, for the
          head `"joint"`
    """

    preprocessor_cls = ConvBertQuestionAnswererPreprocessor
    task_kind = "question_answerer"
    needs_labels = True

    def __init__(
        self,
        backbone: ConvBertBackbone,
        preprocessor: ConvBertQuestionAnswererPreprocessor | None = None,
        head: str = "linear",
        **kwargs: Any,
    ) -> None:
        if head not in ("linear", "joint"):
            raise ValueError(
                'Invalid value for argument `head`. Expected "linear" or '
                f'"joint". Received: head={head!r}'
            )
        check_fits(backbone, preprocessor)
        dtype = head_policy(backbone, kwargs)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        joint = head == "joint"

        def dense(units: int, name: str, **options: Any) -> keras.layers.Dense:
            return keras.layers.Dense(
                units,
                kernel_initializer=keras.initializers.TruncatedNormal(
                    stddev=0.02
                ),
                dtype=policy_at(dtype, name),
                name=name,
                **options,
            )

        if joint:
            self.start_logits = dense(1, "start_logits")
            self.end = SpanEndHead(BEAM, dtype=dtype, name="end")
            self.answer_dense = dense(512, "answer_dense", activation="gelu")
            self.no_answer_logits = dense(1, "no_answer_logits")
        else:
            self.span_logits = dense(2, "span_logits")

        # === Functional Model ===
        x = backbone(backbone.input)["sequence_output"]
        if joint:
            outputs = self._joint(x, backbone.input["segment_ids"])
        else:
            logits = upcast(self.span_logits(x))  # (B, T, 2)
            outputs = {
                "start_logits": logits[..., 0],
                "end_logits": logits[..., 1],
            }
        super().__init__(inputs=backbone.input, outputs=outputs, **kwargs)

        # === Config ===
        self.head = head
        self._start_accuracy = keras.metrics.Mean("start_accuracy")
        self._end_accuracy = keras.metrics.Mean("end_accuracy")

    def _joint(self, x: Tensor, segment_ids: Tensor) -> dict[str, Tensor]:
        """Applies the head of the authors, whose ends depend on starts."""
        start = upcast(ops.squeeze(self.start_logits(x), -1))  # (B, T)
        # Starts are allowed in the context, and at `[CLS]` for no answer.
        allowed = ops.cast(segment_ids, "bool")
        allowed = ops.concatenate(
            [ops.ones_like(allowed[:, :1]), allowed[:, 1:]], axis=1
        )
        start = ops.where(allowed, start, EXCLUDED)
        ends, starts = self.end(x, start)
        probabilities = ops.cast(ops.softmax(start, axis=-1), x.dtype)
        pooled = ops.matmul(probabilities[:, None], x)  # (B, 1, D)
        pooled = ops.squeeze(pooled, 1)
        first = first_or_zeros(x)  # (B, D)
        answer = self.answer_dense(ops.concatenate([first, pooled], axis=-1))
        no_answer = ops.squeeze(self.no_answer_logits(answer), -1)  # (B,)
        return {
            "start_logits": start,
            "starts": starts,
            "end_logits": upcast(ends),
            "no_answer_logits": upcast(no_answer),
            "sequence_output": x,
        }

    def compile(self, optimizer: Any = "auto", **kwargs: Any) -> None:
        """Configures training.

        Args:
            optimizer: optimizer, or its name; `"auto"` is `training.AdamW`
                with a learning rate of 0.00005. Defaults to `"auto"`.
            **kwargs: arguments of `keras.Model.compile` but for `loss`.
        """
        self._refuse_loss(kwargs)
        super().compile(optimizer=optimizer, loss=None, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        starts = ops.cast(y["start_positions"], "int32")  # (B,)
        ends = ops.cast(y["end_positions"], "int32")
        start_logits, end_logits = y_pred["start_logits"], y_pred["end_logits"]
        if self.head == "joint":
            # In training the ends are scored for the correct start.
            end_logits = self.end.ends_of(
                y_pred["sequence_output"], starts[:, None]
            )[:, 0]
            end_logits = upcast(end_logits)
        losses = 0.5 * (
            _cross_entropy(starts, start_logits)
            + _cross_entropy(ends, end_logits)
        )
        if self.head == "joint":
            losses = losses + ANSWERABLE_WEIGHT * ops.binary_crossentropy(
                ops.cast(starts == 0, losses.dtype),
                y_pred["no_answer_logits"],
                from_logits=True,
            )
        weights = ops.ones_like(losses)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, losses.dtype), (-1,))
        self._start_accuracy.update_state(
            _is_best(starts, start_logits), weights
        )
        self._end_accuracy.update_state(_is_best(ends, end_logits), weights)
        loss = ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1e-6)
        for extra in self.losses:
            loss += extra
        return scale_loss_for_distribution(loss)

    def predict_answers(
        self,
        questions: Any,
        contexts: Any,
        n_best: int | None = None,
        max_answer_length: int = 30,
        threshold: float | None = None,
        batch_size: int = 32,
    ) -> list[Any]:
        """Returns the answers to questions, as spans of contexts.

        Args:
            questions: list of strings.
            contexts: list of strings, one per question.
            n_best: int. Number of answers per question; `None` returns one
                answer without a list around it. Defaults to `None`.
            max_answer_length: int. Maximum number of pieces of an answer.
                Defaults to `30`.
            threshold: float. A question has no answer if the score of "no
                answer" minus the score of the best answer exceeds this (with
                the head `"joint"`, if `no_answer_logits` exceeds it). `None`
                always returns an answer. Defaults to `None`.
            batch_size: int. Windows per step. Defaults to `32`.

        Returns:
            For each question a dict, or a list of `n_best` dicts, the best
            first: `text`; `start` and `end`, so that
            `context[start:end] == text`; and `score`, the softmax of the
            scores of the best twenty answers. No answer is the text `""`
            with start and end 0.

        Raises:
            ValueError: if the numbers of contexts and questions differ, or
                the task has no preprocessor.
        """
        preprocessor = required_preprocessor(self)
        check_positive_integers(
            max_answer_length=max_answer_length,
            **({} if n_best is None else {"n_best": n_best}),
        )
        questions, contexts = as_texts(questions), as_texts(contexts)
        if len(questions) != len(contexts):
            raise ValueError(
                "Expected one context per question. Received: "
                f"{len(questions)} questions and {len(contexts)} contexts"
            )
        windows = preprocessor.windows((questions, contexts))
        found: list[list[Candidate]] = [[] for _ in questions]
        no_answer_scores = np.full(len(questions), np.inf)
        for first in range(0, len(windows), batch_size):
            part = windows[first : first + batch_size]
            packed = preprocessor.collate(
                (
                    [window.question for window in part],
                    [window.context for window in part],
                )
            )
            outputs = predict_batch(self, packed, batch_size)
            for i, window in enumerate(part):
                scores = {name: values[i] for name, values in outputs.items()}
                start, ends, no_answer_score = self._scores(
                    scores, packed["segment_ids"][i]
                )
                sample = window.sample
                no_answer_scores[sample] = min(
                    no_answer_scores[sample], no_answer_score
                )
                found[sample] += candidates(
                    window, start, ends, max_answer_length
                )
        answers = []
        for of_sample, context, score in zip(
            found, contexts, no_answer_scores, strict=True
        ):
            best = best_answers(of_sample, context, n_best or 1)
            if threshold is not None:
                top = max((c.score for c in of_sample), default=-np.inf)
                lead = score if self.head == "joint" else score - top
                if lead > threshold:
                    best = [no_answer(1.0), *best][: n_best or 1]
            answers.append(best if n_best else best[0])
        return answers

    def _scores(
        self, outputs: dict[str, np.ndarray], segment_ids: np.ndarray
    ) -> tuple[np.ndarray, list[tuple[int, np.ndarray]], float]:
        """Returns the scores of a window: of starts, of ends, of no answer.

        The ends are a list of pairs, the best start first: a start position
        and the scores of its ends.
        """
        start, end = outputs["start_logits"], outputs["end_logits"]
        if self.head == "joint":
            beam = outputs["starts"].astype(int)
            # Log probabilities make the ends of different starts comparable.
            # Only the context and `[CLS]` have a probability.
            allowed = segment_ids[: end.shape[-1]] > 0
            allowed[0] = True
            start = _log_softmax(start)
            end = _log_softmax(np.where(allowed, end, EXCLUDED))
            ends = [*zip(beam, end, strict=True)]
            return start, ends, float(outputs["no_answer_logits"])
        best = np.argsort(-start, kind="stable")
        return start, [(int(i), end) for i in best], float(start[0] + end[0])

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            **head_config(self),
            "head": self.head,
        }


def _cross_entropy(positions: Tensor, logits: Tensor) -> Tensor:
    return ops.sparse_categorical_crossentropy(
        positions, logits, from_logits=True
    )


def _is_best(positions: Tensor, logits: Tensor) -> Tensor:
    best = ops.cast(ops.argmax(logits, axis=-1), "int32")
    return ops.cast(best == positions, "float32")


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
