"""Cuts contexts into windows, each with its question."""

from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.text.answer_spans import Answer
from keras_convbert.text.special_tokens import PAIR_SPECIAL_TOKENS
from keras_convbert.text.windows import Window
from keras_convbert.text.windows import Windows
from keras_convbert.text.windows import windows_in_graph
from keras_convbert.text.windows import windows_of
from keras_convbert.types import Tensor


class QuestionWindow(NamedTuple):
    """A question and a window of its context.

    `[CLS] question [SEP] window [SEP]`
    """

    sample: int
    question: np.ndarray
    """Ids, `(question,)`."""
    context: np.ndarray
    """Ids, `(window,)`."""
    starts: np.ndarray
    """The first character of each piece of the window, `(window,)`."""
    ends: np.ndarray
    """The character after each piece, `(window,)`."""
    window: Window

    @property
    def offset(self) -> int:
        """The position of the first piece of the window in the sequence."""
        return len(self.question) + 2

    def target(self, answer: Answer) -> tuple[int, int]:
        """Returns the positions of the first and last piece of an answer.

        They are 0, the position of `[CLS]`, unless the window contains all of
        the answer.
        """
        if answer.start < 0:
            return 0, 0
        first = int(np.searchsorted(self.ends, answer.start, side="right"))
        last = int(np.searchsorted(self.starts, answer.end, side="left")) - 1
        whole = (
            first <= last
            and self.starts[0] <= answer.start
            and answer.end <= self.ends[-1]
        )
        if not whole:
            return 0, 0
        return self.offset + first, self.offset + last


def question_windows(
    tokenizer: Any,
    questions: list[str],
    contexts: list[str],
    sequence_length: int,
    max_question_length: int,
    stride: int,
) -> list[QuestionWindow]:
    """Returns the windows of all contexts, in order.

    Args:
        tokenizer: a tokenizer with `tokenize_with_offsets`.
        questions: list of strings.
        contexts: list of strings.
        sequence_length: int. Length of question, window and special tokens.
        max_question_length: int. Pieces after which a question is cut.
        stride: int. Pieces from the start of one window to that of the next.
    """
    asked = tokenizer(questions)
    pieces = zip(*tokenizer.tokenize_with_offsets(contexts), strict=True)
    windows = []
    for sample, (ids, starts, ends) in enumerate(pieces):
        question = np.array(asked[sample][:max_question_length], "int32")
        size = sequence_length - len(question) - PAIR_SPECIAL_TOKENS
        for window in windows_of(len(ids), size, min(stride, size)):
            part = slice(window.start, window.end)
            windows.append(
                QuestionWindow(
                    sample,
                    question,
                    np.array(ids[part], "int32"),
                    np.array(starts[part], "int32"),
                    np.array(ends[part], "int32"),
                    window,
                )
            )
    return windows


# In a TensorFlow graph


class QuestionWindows(NamedTuple):
    """The windows of all contexts, one per row."""

    samples: Tensor
    """The number of the sample, `(rows,)`."""
    questions: Tensor
    """Ids, ragged, `(rows, None)`."""
    contexts: Tensor
    starts: Tensor
    ends: Tensor
    own: Tensor
    """As `contexts`: whether a piece belongs to the window."""

    @property
    def offset(self) -> Tensor:
        """The positions of the first pieces of windows in the sequences."""
        import tensorflow as tf

        return tf.cast(self.questions.row_lengths(), "int32") + 2

    def targets(self, starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the positions of answers, as `QuestionWindow.target`.

        Args:
            starts: integer tensor of shape `(samples,)`, the first characters
                of the answers, -1 for no answer.
            ends: as `starts`, the characters after the last ones.
        """
        import tensorflow as tf

        start = tf.gather(starts, self.samples)[:, None]
        end = tf.gather(ends, self.samples)[:, None]
        first = tf.reduce_sum(tf.cast(self.ends <= start, "int32"), axis=1)
        before = tf.reduce_sum(tf.cast(self.starts < end, "int32"), axis=1)
        whole = (
            (start[:, 0] >= 0)
            & (first < before)
            & (tf.reduce_min(self.starts, axis=1) <= start[:, 0])
            & (tf.reduce_max(self.ends, axis=1) >= end[:, 0])
        )
        return (
            tf.where(whole, self.offset + first, 0),
            tf.where(whole, self.offset + before - 1, 0),
        )


class QuestionPieces(NamedTuple):
    """The pieces of questions and contexts, and the windows of contexts.

    The ragged tensors have the shape `(samples, None)`.
    """

    questions: Tensor
    contexts: Tensor
    starts: Tensor
    """As `contexts`: the first characters of the pieces."""
    ends: Tensor
    windows: Windows

    def take(self, windows: Windows) -> QuestionWindows:
        """Returns some of the windows, or all, with their pieces."""
        import tensorflow as tf

        return QuestionWindows(
            windows.texts,
            tf.gather(self.questions, windows.texts),
            windows.take(self.contexts),
            windows.take(self.starts),
            windows.take(self.ends),
            windows.own(),
        )


def question_pieces_in_graph(
    tokenizer: Any,
    questions: Tensor,
    contexts: Tensor,
    sequence_length: int,
    max_question_length: int,
    stride: int,
) -> QuestionPieces:
    """Cuts contexts into the windows of `question_windows`.

    Args:
        tokenizer: a tokenizer with `tokenize_with_offsets`.
        questions: string tensor of shape `(batch,)`.
        contexts: string tensor of shape `(batch,)`.
        sequence_length: int. Length of question, window and special tokens.
        max_question_length: int. Pieces after which a question is cut.
        stride: int. Pieces from the start of one window to that of the next.
    """
    import tensorflow as tf

    asked = tokenizer(questions)[:, :max_question_length]
    ids, starts, ends = tokenizer.tokenize_with_offsets(contexts)
    size = sequence_length - asked.row_lengths() - PAIR_SPECIAL_TOKENS
    windows = windows_in_graph(
        ids.row_lengths(), size, tf.minimum(tf.cast(stride, size.dtype), size)
    )
    return QuestionPieces(asked, ids, starts, ends, windows)
