from typing import Any

import keras
import numpy as np

from keras_convbert.compat import preprocessing_function
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.base.input_checks import check_windows
from keras_convbert.models.base.windowed_preprocessor import (
    WindowedPreprocessor,
)
from keras_convbert.models.base.windowed_preprocessor import window_weights
from keras_convbert.models.convbert.convbert_preprocessor import (
    ConvBertPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.text.answer_spans import answers_in_graph
from keras_convbert.text.answer_spans import as_texts
from keras_convbert.text.answer_spans import read_answers
from keras_convbert.text.question_windows import QuestionWindow
from keras_convbert.text.question_windows import question_windows
from keras_convbert.text.question_windows import question_windows_in_graph
from keras_convbert.text.special_tokens import PAIR_SPECIAL_TOKENS
from keras_convbert.text.special_tokens import pad_segments
from keras_convbert.text.special_tokens import pad_segments_in_graph
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertQuestionAnswererPreprocessor(
    ConvBertPreprocessor, WindowedPreprocessor
):
    """Turns questions, contexts and answers into inputs of a question answerer.

    `[CLS] question [SEP] context [SEP]`. A context that does not fit is cut
    into overlapping windows: there are as many rows as windows. The answer of
    a window that does not hold all of it is at `[CLS]`.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the outputs. Defaults to `384`.
        stride: int. Pieces from the start of one window to that of the next,
            at most a window's. Defaults to `128`.
        max_question_length: int. Pieces after which a question is cut.
            Defaults to `64`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: a tuple of questions and of contexts, lists of strings or string
            tensors. Outside of `fit` it is passed by name:
            `x=(questions, contexts)`.
        y: dict of `text`, the answers, and `answer_start`, where they start
            in the contexts, in code points. A question without answer has the
            text `""`.
        sample_weight: one weight a question.

    Output shape:
        dict of `token_ids`, `segment_ids`, `padding_mask`, each
        `(rows, sequence_length)`; with answers a tuple of it and of a dict of
        `start_positions` and `end_positions`, `(rows,)`, the places of the
        first and the last piece of the answer, and of the weights of the rows,
        if there are any.

    Raises:
        ValueError: if a length leaves no place for a context, or an answer is
            not in its context.

    Example:

    ```python
    from keras_convbert.models import ConvBertQuestionAnswererPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "an", "ann"]
    preprocessor = ConvBertQuestionAnswererPreprocessor(
        ConvBertTokenizer(tokens), sequence_length=8, max_question_length=2
    )
    x, y = preprocessor(
        x=(["who"], ["an Ann"]), y={"text": ["Ann"], "answer_start": [3]}
    )
    # x["token_ids"]: [[2, 5, 3, 6, 7, 3, 0, 0]]
    # y["start_positions"], y["end_positions"]: [4], [4]
    ```
    """

    def __init__(
        self,
        tokenizer: ConvBertTokenizer,
        sequence_length: int = 384,
        stride: int = 128,
        max_question_length: int = 64,
        **kwargs: Any,
    ) -> None:
        check_positive_integers(
            sequence_length=sequence_length,
            max_question_length=max_question_length,
            stride=stride,
        )
        size = sequence_length - PAIR_SPECIAL_TOKENS - max_question_length
        if size < 1:
            raise ValueError(
                "Expected `sequence_length` to be more than "
                f"`max_question_length + {PAIR_SPECIAL_TOKENS}`. Received: "
                f"sequence_length={sequence_length}, "
                f"max_question_length={max_question_length}"
            )
        check_windows(tokenizer, max(sequence_length, stride), stride)
        super().__init__(tokenizer, sequence_length, stride, **kwargs)
        self.max_question_length = max_question_length

    def rows(self, x: Any) -> list[QuestionWindow]:
        """The windows of all contexts."""
        questions, contexts = map(as_texts, _pair(x))
        return question_windows(
            self.tokenizer, questions, contexts, *self._lengths()
        )

    def to_windows(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        """Cuts samples into rows, which `collate` makes batches of.

        Args:
            x: as of the call.
            y: as of the call. Defaults to `None`.
            sample_weight: as of the call. Defaults to `None`.

        Returns:
            `(x, y, sample_weight)`, an entry a row.
        """
        questions, contexts = map(as_texts, _pair(x))
        rows = self.rows((questions, contexts))
        parts = ([row.question for row in rows], [row.context for row in rows])
        sample_weight = window_weights(
            sample_weight, [row.sample for row in rows]
        )
        if y is None:
            return parts, None, sample_weight
        answers = read_answers(contexts, y)
        targets = np.array(
            [row.target(answers[row.sample]) for row in rows], "int32"
        ).reshape(-1, 2)
        places = {
            "start_positions": targets[:, 0],
            "end_positions": targets[:, 1],
        }
        return parts, places, sample_weight

    def collate(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Batches windows of `to_windows`.

        Args:
            x: some of the windows.
            y: their answers. Defaults to `None`.
            sample_weight: their weights. Defaults to `None`.

        Returns:
            As the call.
        """
        pairs = [*zip(*x, strict=True)]
        inputs = pad_segments(self.tokenizer, pairs, self.sequence_length)
        return keras.utils.pack_x_y_sample_weight(inputs, y, sample_weight)

    @preprocessing_function
    def _call_tf(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        import tensorflow as tf

        rows = self.rows_in_graph(*_pair(x))
        inputs = self.collate_in_graph(rows)
        if sample_weight is not None:
            sample_weight = tf.gather(sample_weight, rows.samples)
        if y is not None:
            starts, ends = rows.targets(*answers_in_graph(x[1], y))
            y = {"start_positions": starts, "end_positions": ends}
        return keras.utils.pack_x_y_sample_weight(inputs, y, sample_weight)

    def rows_in_graph(self, questions: Tensor, contexts: Tensor) -> Any:
        """The windows of all contexts, as TensorFlow has them.

        Args:
            questions: string tensor, `(batch,)`.
            contexts: string tensor, `(batch,)`.
        """
        return question_windows_in_graph(
            self.tokenizer, questions, contexts, *self._lengths()
        )

    def collate_in_graph(self, windows: Any) -> dict[str, Tensor]:
        """Batches windows in a TensorFlow graph.

        Args:
            windows: the `QuestionWindows`.
        """
        return pad_segments_in_graph(
            self.tokenizer,
            [windows.questions, windows.contexts],
            self.sequence_length,
        )

    def _lengths(self) -> tuple[int, int, int]:
        return self.sequence_length, self.max_question_length, self.stride

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "max_question_length": self.max_question_length,
        }


def _pair(x: Any) -> tuple[Any, Any]:
    if not isinstance(x, tuple) or len(x) != 2:
        raise ValueError(
            "Expected `x=(questions, contexts)`, a tuple of two batches of "
            f"strings. Received: x={x!r:.80}"
        )
    return x
