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
from keras_convbert.text.question_windows import QuestionPieces
from keras_convbert.text.question_windows import QuestionWindow
from keras_convbert.text.question_windows import QuestionWindows
from keras_convbert.text.question_windows import question_pieces_in_graph
from keras_convbert.text.question_windows import question_windows
from keras_convbert.text.special_tokens import PAIR_SPECIAL_TOKENS
from keras_convbert.text.special_tokens import pad_segments
from keras_convbert.text.special_tokens import pad_segments_in_graph
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertQuestionAnswererPreprocessor(
    ConvBertPreprocessor, WindowedPreprocessor
):
    """Tokenizes and packs inputs for `ConvBertQuestionAnswerer`.

    A question and its context become `[CLS] question [SEP] context [SEP]`. A
    context that is too long is cut into overlapping windows, and the outputs
    have one row per window. If a window does not contain the whole answer, its
    target is the position of `[CLS]`.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the packed sequences. Defaults to
            `384`.
        stride: int. Distance between the starts of consecutive windows, in
            pieces; at most the size of a window. Defaults to `128`.
        max_question_length: int. Maximum number of pieces of a question.
            Defaults to `64`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: tuple of questions and contexts, each a list of strings or a string
            tensor. Outside of `fit`, pass it by name:
            `x=(questions, contexts)`.
        y: dict of `text`, the answers, and `answer_start`, their start in the
            contexts, in code points. A question may have a list of answers,
            as in SQuAD, of which the first is the target. An unanswerable
            question has the text `""` or an empty list. A list with such a
            dict, or a list of such dicts, per question is accepted too,
            outside of TensorFlow graphs.
        sample_weight: one weight per question.

    Output shape:
        Dict of `token_ids`, `segment_ids` and `padding_mask`, each of shape
        `(windows, sequence_length)`. With answers a tuple `(x, y)` or
        `(x, y, sample_weight)`: `y` is a dict of `start_positions` and
        `end_positions`, of shape `(windows,)`, the positions of the first and
        the last piece of the answer.

    Raises:
        ValueError: if the lengths leave no room for a context, or an answer
            is not in its context.

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
                "Expected `sequence_length` to be greater than "
                f"`max_question_length + {PAIR_SPECIAL_TOKENS}`. Received: "
                f"sequence_length={sequence_length}, "
                f"max_question_length={max_question_length}"
            )
        check_windows(tokenizer, max(sequence_length, stride), stride)
        super().__init__(tokenizer, sequence_length, stride, **kwargs)
        self.max_question_length = max_question_length

    def windows(self, x: Any) -> list[QuestionWindow]:
        """Returns the windows of all contexts.

        Args:
            x: as in a call.
        """
        questions, contexts = map(as_texts, _pair(x))
        return question_windows(
            self.tokenizer, questions, contexts, *self._lengths()
        )

    def to_windows(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        """Cuts samples into windows, which `collate` batches.

        Args:
            x: as in a call.
            y: as in a call. Defaults to `None`.
            sample_weight: as in a call. Defaults to `None`.

        Returns:
            Tuple `(x, y, sample_weight)` with one entry per window.
        """
        questions, contexts = map(as_texts, _pair(x))
        windows = self.windows((questions, contexts))
        parts = (
            [window.question for window in windows],
            [window.context for window in windows],
        )
        sample_weight = window_weights(
            sample_weight, [window.sample for window in windows]
        )
        if y is None:
            return parts, None, sample_weight
        answers = read_answers(contexts, y)
        targets = np.array(
            [window.target(answers[window.sample]) for window in windows],
            "int32",
        ).reshape(-1, 2)
        positions = {
            "start_positions": targets[:, 0],
            "end_positions": targets[:, 1],
        }
        return parts, positions, sample_weight

    def collate(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Batches windows of `to_windows`.

        Args:
            x: windows.
            y: positions of their answers. Defaults to `None`.
            sample_weight: their weights. Defaults to `None`.

        Returns:
            The outputs of a call.
        """
        pairs = [*zip(*x, strict=True)]
        inputs = pad_segments(self.tokenizer, pairs, self.sequence_length)
        return keras.utils.pack_x_y_sample_weight(inputs, y, sample_weight)

    @preprocessing_function
    def _call_tf(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        import tensorflow as tf

        pieces = self.pieces_in_graph(*_pair(x))
        windows = pieces.take(pieces.windows)
        inputs = self.collate_in_graph(windows)
        if sample_weight is not None:
            sample_weight = tf.gather(sample_weight, windows.samples)
        if y is not None:
            starts, ends = windows.targets(*answers_in_graph(x[1], y))
            y = {"start_positions": starts, "end_positions": ends}
        return keras.utils.pack_x_y_sample_weight(inputs, y, sample_weight)

    def pieces_in_graph(
        self, questions: Tensor, contexts: Tensor
    ) -> QuestionPieces:
        """Returns pieces and windows of contexts, in a TensorFlow graph.

        Args:
            questions: string tensor of shape `(batch,)`.
            contexts: string tensor of shape `(batch,)`.
        """
        return question_pieces_in_graph(
            self.tokenizer, questions, contexts, *self._lengths()
        )

    def collate_in_graph(self, windows: QuestionWindows) -> dict[str, Tensor]:
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
