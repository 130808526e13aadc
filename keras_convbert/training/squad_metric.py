"""The rules of SQuAD that its two metrics share."""

import re
import string
from collections.abc import Sequence

import keras
from keras import ops

from keras_convbert.types import Config
from keras_convbert.types import Tensor

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answer_words(text: str) -> list[str]:
    """Returns the lowercase words of an answer.

    Punctuation and articles are removed.
    """
    text = text.lower().translate(_WITHOUT_PUNCTUATION)
    return _ARTICLES.sub(" ", text).split()


class SquadMetric(keras.metrics.Metric):
    """Mean over questions of the best score, in percent.

    Each answer is scored against every accepted answer of its question, and
    the best score counts. Subclasses define the score of one pair.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.total, self.count = (
            self.add_variable((), "zeros", dtype="float32", name=state)
            for state in ("total", "count")
        )

    def update_state(
        self, y_true: Sequence[Sequence[str]], y_pred: Sequence[str]
    ) -> None:
        _check_answers(y_true, y_pred)
        scores = [
            self._best(accepted, answer)
            for accepted, answer in zip(y_true, y_pred, strict=True)
        ]
        self.total.assign_add(sum(scores))
        self.count.assign_add(len(scores))

    def result(self) -> Tensor:
        return ops.divide_no_nan(100.0 * self.total, self.count)

    def get_config(self) -> Config:
        return {"name": self.name}

    def _best(self, accepted: Sequence[str], answer: str) -> float:
        words = answer_words(answer)
        wanted = [answer_words(text) for text in accepted]
        # The official rule: if no accepted answer has words, `""` is correct.
        wanted = [other for other in wanted if other] or [[]]
        return max(self._score(other, words) for other in wanted)

    def _score(self, wanted: list[str], words: list[str]) -> float:
        """Scores the words of an answer against those of an accepted one."""
        raise NotImplementedError


def _check_answers(
    y_true: Sequence[Sequence[str]], y_pred: Sequence[str]
) -> None:
    if len(y_true) != len(y_pred):
        raise ValueError(
            "Expected `y_true` and `y_pred` to have the same length. Received: "
            f"len(y_true)={len(y_true)}, len(y_pred)={len(y_pred)}"
        )
    for accepted in y_true:
        if isinstance(accepted, str) or not all(
            isinstance(text, str) for text in accepted
        ):
            raise ValueError(
                "Invalid value for argument `y_true`. Expected a list of "
                f"strings for each question. Received: {accepted!r}"
            )
    for answer in y_pred:
        if not isinstance(answer, str):
            raise ValueError(
                "Invalid value for argument `y_pred`. Expected a string for "
                f"each question. Received: {answer!r}"
            )
