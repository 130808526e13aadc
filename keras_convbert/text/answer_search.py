"""The best answers of a context, of the scores of its windows."""

import heapq
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.text.question_windows import QuestionWindow
from keras_convbert.text.question_windows import QuestionWindows
from keras_convbert.types import Tensor

# Starts, and ends of each, that are looked at in a window.
BEAM = 20
# The score that the authors give to positions outside of the context.
EXCLUDED = -1000.0


class Candidate(NamedTuple):
    """Characters `start` to `end` of a context."""

    score: float
    start: int
    end: int


def candidates(
    row: QuestionWindow,
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


NEVER = float("-inf")


class Answers(NamedTuple):
    """The best answer of each sample, all `(samples,)`."""

    texts: Tensor
    starts: Tensor
    """The first character; that of no answer is 0, as its end."""
    ends: Tensor
    shares: Tensor
    """Of `exp(score)` among the best twenty; 0 if there is none."""
    tops: Tensor
    """The score; minus infinity if there is no answer."""


def best_answers_in_graph(
    rows: QuestionWindows,
    contexts: Tensor,
    start_logits: Tensor,
    end_logits: Tensor,
    places: Tensor | None,
    max_answer_length: int,
) -> Answers:
    """Of the windows of all contexts, the best answers.

    Args:
        rows: the windows.
        contexts: the texts that they are from, `(samples,)`.
        start_logits: scores of the places of sequences, `(rows, length)`.
        end_logits: of ends, `(rows, length)`, or `(rows, starts, length)`
            where they depend on the start.
        places: `(rows, starts)`, the starts that may be gone on from; `None`
            is the best ones.
        max_answer_length: int. Pieces that an answer has at most.
    """
    import tensorflow as tf

    of_places = _OfPlaces(rows, tf.shape(start_logits)[1])
    own = of_places.dense(rows.own, False)
    start_logits = tf.where(own, start_logits, NEVER)  # (R, T)
    if places is None:
        beam = tf.minimum(BEAM, tf.shape(start_logits)[1])
        start, places = tf.math.top_k(start_logits, beam)  # (R, S)
        end_logits = end_logits[:, None]  # (R, 1, T)
    else:
        start = tf.gather(start_logits, places, batch_dims=1)

    after = tf.range(max_answer_length)
    stops = places[..., None] + after  # (R, S, L)
    limit = rows.offset + tf.cast(rows.contexts.row_lengths(), "int32")
    inside = stops < limit[:, None, None]
    stops = tf.where(inside, stops, 0)
    end_logits = tf.broadcast_to(
        end_logits,
        tf.concat([tf.shape(places), tf.shape(start_logits)[1:]], 0),
    )
    ends = tf.gather(end_logits, stops, batch_dims=2)
    scores = tf.where(inside, start[..., None] + ends, NEVER)

    starts = tf.broadcast_to(places[..., None], tf.shape(stops))
    scores, (starts, stops) = _best(
        _flat(scores), (_flat(starts), _flat(stops))
    )  # (R, 20)
    found = (
        scores,
        tf.gather(of_places.dense(rows.starts, 0), starts, batch_dims=1),
        tf.gather(of_places.dense(rows.ends, 0), stops, batch_dims=1),
    )
    samples = tf.shape(contexts, out_type="int64")[0]
    scores, first, last = (
        _flat(
            tf.RaggedTensor.from_value_rowids(
                part, rows.samples, nrows=samples, validate=False
            ).to_tensor(empty)
        )
        for part, empty in zip(found, (NEVER, 0, 0), strict=True)
    )  # (N, 20 · windows)
    # No sample has no window, but there may be no sample.
    scores, first, last = (
        tf.pad(part, [[0, 0], [0, 1]], constant_values=empty)
        for part, empty in ((scores, NEVER), (first, 0), (last, 0))
    )
    scores, (first, last) = _best(scores, (first, last))
    return _answers(contexts, scores, first[:, 0], last[:, 0])


def _answers(
    contexts: Tensor, scores: Tensor, first: Tensor, last: Tensor
) -> Answers:
    import tensorflow as tf

    top = scores[:, 0]
    there = top > NEVER
    weights = tf.exp(scores - tf.where(there, top, 0.0)[:, None])
    shares = 1.0 / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)
    first, last = (tf.where(there, place, 0) for place in (first, last))
    # What is no UTF-8 counts as it does in the tokenizer.
    readable = tf.strings.unicode_transcode(contexts, "UTF-8", "UTF-8")
    texts = tf.strings.substr(readable, first, last - first, "UTF8_CHAR")
    return Answers(texts, first, last, tf.where(there, shares, 0.0), top)


class _OfPlaces:
    """Puts what is known of pieces at their places in the sequences."""

    def __init__(self, rows: QuestionWindows, length: Tensor) -> None:
        import tensorflow as tf

        self._length = tf.cast(length, "int64")
        self._before = tf.RaggedTensor.from_row_lengths(
            tf.zeros([tf.reduce_sum(rows.offset)], "int32"),
            tf.cast(rows.offset, "int64"),
        )

    def dense(self, of_pieces: Tensor, padding: object) -> Tensor:
        """Of ragged `(rows, None)` a tensor `(rows, length)`."""
        import tensorflow as tf

        filling = tf.fill(
            tf.shape(self._before.flat_values),
            tf.constant(padding, of_pieces.dtype),
        )
        whole = tf.concat(
            [self._before.with_flat_values(filling), of_pieces], 1
        )
        return whole.to_tensor(padding, shape=tf.stack([-1, self._length]))


def _flat(values: Tensor) -> Tensor:
    import tensorflow as tf

    shape = tf.shape(values)
    return tf.reshape(values, [shape[0], tf.reduce_prod(shape[1:])])


def _best(
    scores: Tensor, others: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The best of each row, and what belongs to them."""
    import tensorflow as tf

    scores, chosen = tf.math.top_k(
        scores, tf.minimum(BEAM, tf.shape(scores)[1])
    )
    return scores, tuple(
        tf.gather(other, chosen, batch_dims=1) for other in others
    )
