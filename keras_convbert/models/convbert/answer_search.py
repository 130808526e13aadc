"""The best answers of a context, of the scores of its windows."""

import heapq
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.models.convbert.question_rows import QuestionRow

# Starts, and ends of each, that are looked at in a window.
BEAM = 20


class Candidate(NamedTuple):
    """Characters `start` to `end` of a context."""

    score: float
    start: int
    end: int


def candidates(
    row: QuestionRow,
    start_logits: np.ndarray,
    ends: list[tuple[int, np.ndarray]],
    max_answer_length: int,
) -> list[Candidate]:
    """Answers in a window that start at a piece which belongs to it.

    Args:
        row: the window.
        start_logits: scores of the places of the sequence, `(length,)`.
        ends: for each start that may be gone on from, the best first, its
            place and the scores of ends, `(length,)`.
        max_answer_length: int. Pieces that an answer has at most.
    """
    own = range(
        row.offset + row.window.first - row.window.start,
        row.offset + row.window.last - row.window.start,
    )
    found = []
    for place, end_logits in [pair for pair in ends if pair[0] in own][:BEAM]:
        piece = place - row.offset
        stop = min(piece + max_answer_length, len(row.context))
        scores = end_logits[place : row.offset + stop]
        best = np.argsort(-scores, kind="stable")[:BEAM]
        found += [
            Candidate(
                float(start_logits[place] + scores[i]),
                int(row.starts[piece]),
                int(row.ends[piece + i]),
            )
            for i in best
        ]
    return found


def best_answers(
    found: list[Candidate], context: str, n_best: int
) -> list[dict[str, Any]]:
    """The best as dicts of `text`, `start`, `end` and `score`.

    A score is the share of `exp(score)` among the best twenty.
    """
    best = heapq.nlargest(
        max(n_best, BEAM), dict.fromkeys(found), key=lambda found: found.score
    )
    if not best:
        return [no_answer(0.0)]
    weights = np.exp([candidate.score - best[0].score for candidate in best])
    shares = weights / weights[:BEAM].sum()
    return [
        {
            "text": context[candidate.start : candidate.end],
            "start": candidate.start,
            "end": candidate.end,
            "score": float(share),
        }
        for candidate, share in zip(best[:n_best], shares, strict=False)
    ]


def no_answer(score: float) -> dict[str, Any]:
    return {"text": "", "start": 0, "end": 0, "score": score}
