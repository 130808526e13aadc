"""Questions and contexts as rows of pieces, in NumPy."""

from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.models.convbert.answers import Answer
from keras_convbert.models.convbert.windows import Window
from keras_convbert.models.convbert.windows import windows_of


class QuestionRow(NamedTuple):
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


def question_rows(
    tokenizer: Any,
    questions: list[str],
    contexts: list[str],
    sequence_length: int,
    max_question_length: int,
    stride: int,
) -> list[QuestionRow]:
    """The windows of all contexts, in their order."""
    asked = tokenizer(questions)
    pieces = zip(*tokenizer.tokenize_with_offsets(contexts), strict=True)
    rows = []
    for sample, (ids, starts, ends) in enumerate(pieces):
        question = np.array(asked[sample][:max_question_length], "int32")
        size = sequence_length - len(question) - 3
        for window in windows_of(len(ids), size, min(stride, size)):
            part = slice(window.start, window.end)
            rows.append(
                QuestionRow(
                    sample,
                    question,
                    np.array(ids[part], "int32"),
                    np.array(starts[part], "int32"),
                    np.array(ends[part], "int32"),
                    window,
                )
            )
    return rows
