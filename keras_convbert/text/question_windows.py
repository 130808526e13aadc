"""Questions and contexts as rows of pieces, in NumPy."""

from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.text.answer_spans import Answer
from keras_convbert.text.special_tokens import PAIR_SPECIAL_TOKENS
from keras_convbert.text.windows import Window
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
    """The character at which each piece of the window starts, `(window,)`."""
    ends: np.ndarray
    window: Window

    @property
    def offset(self) -> int:
        """The place of the window's first piece in the sequence."""
        return len(self.question) + 2

    def target(self, answer: Answer) -> tuple[int, int]:
        """The places of an answer's first and last piece.

        That of `[CLS]`, 0, if it is not in the window as a whole.
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
    """The windows of all contexts, in their order."""
    asked = tokenizer(questions)
    pieces = zip(*tokenizer.tokenize_with_offsets(contexts), strict=True)
    rows = []
    for sample, (ids, starts, ends) in enumerate(pieces):
        question = np.array(asked[sample][:max_question_length], "int32")
        size = sequence_length - len(question) - PAIR_SPECIAL_TOKENS
        for window in windows_of(len(ids), size, min(stride, size)):
            part = slice(window.start, window.end)
            rows.append(
                QuestionWindow(
                    sample,
                    question,
                    np.array(ids[part], "int32"),
                    np.array(starts[part], "int32"),
                    np.array(ends[part], "int32"),
                    window,
                )
            )
    return rows


class QuestionWindows(NamedTuple):
    """The windows of all contexts, `rows` of them."""

    samples: Tensor
    """`(rows,)`"""
    questions: Tensor
    """Ids, ragged, `(rows, None)`."""
    contexts: Tensor
    starts: Tensor
    ends: Tensor
    own: Tensor
    """As `contexts`, whether a piece belongs to the window."""

    @property
    def offset(self) -> Tensor:
        """The places of the windows' first pieces in the sequences."""
        import tensorflow as tf

        return tf.cast(self.questions.row_lengths(), "int32") + 2

    def targets(self, starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """The places of the answers to the samples, as `QuestionWindow.target`.

        Args:
            starts: first characters `(samples,)`, -1 for no answer.
            ends: the characters after the last.
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


def question_windows_in_graph(
    tokenizer: Any,
    questions: Tensor,
    contexts: Tensor,
    sequence_length: int,
    max_question_length: int,
    stride: int,
) -> QuestionWindows:
    """Makes them of strings `(batch,)`."""
    import tensorflow as tf

    asked = tokenizer(questions)[:, :max_question_length]
    ids, starts, ends = tokenizer.tokenize_with_offsets(contexts)
    size = sequence_length - asked.row_lengths() - PAIR_SPECIAL_TOKENS
    windows = windows_in_graph(
        ids.row_lengths(), size, tf.minimum(tf.cast(stride, size.dtype), size)
    )
    return QuestionWindows(
        windows.texts,
        tf.gather(asked, windows.texts),
        windows.take(ids),
        windows.take(starts),
        windows.take(ends),
        windows.own(),
    )
