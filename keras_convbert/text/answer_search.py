"""Finds the best answers in a context from the scores of its windows."""

import heapq
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.text.question_windows import QuestionWindow
from keras_convbert.text.question_windows import QuestionWindows
from keras_convbert.types import Tensor

# Number of best starts per window, and of best ends per start, that are scored.
BEAM = 20
# The score that the authors give to positions outside of the context.
EXCLUDED = -1000.0


class Candidate(NamedTuple):
    """An answer: characters `start` to `end` of a context."""

    score: float
    start: int
    end: int


def candidates(
    row: QuestionWindow,
    start_logits: np.ndarray,
    ends: list[tuple[int, np.ndarray]],
    max_answer_length: int,
) -> list[Candidate]:
    """Returns the answers in a window that start at a piece of its own.

    Args:
        row: the `QuestionWindow`.
        start_logits: array of shape `(length,)`, the scores of positions.
        ends: list of pairs, the best first: a start position in the beam, and
            the scores of end positions for it, of shape `(length,)`.
        max_answer_length: int. Maximum number of pieces of an answer.
    """
    own = range(
        row.offset + row.window.first - row.window.start,
        row.offset + row.window.last - row.window.start,
    )
    found = []
    for start, end_logits in [pair for pair in ends if pair[0] in own][:BEAM]:
        piece = start - row.offset
        stop = min(piece + max_answer_length, len(row.context))
        scores = end_logits[start : row.offset + stop]
        best = np.argsort(-scores, kind="stable")[:BEAM]
        found += [
            Candidate(
                float(start_logits[start] + scores[i]),
                int(row.starts[piece]),
                int(row.ends[piece + i]),
            )
            for i in best
        ]
    return found


def best_answers(
    found: list[Candidate], context: str, n_best: int
) -> list[dict[str, Any]]:
    """Returns the best answers as dicts of `text`, `start`, `end`, `score`.

    The score is the softmax of the scores of the best twenty.
    """
    best = heapq.nlargest(
        max(n_best, BEAM), dict.fromkeys(found), key=lambda found: found.score
    )
    if not best:
        return [no_answer(0.0)]
    weights = np.exp([candidate.score - best[0].score for candidate in best])
    probabilities = weights / weights[:BEAM].sum()
    return [
        {
            "text": context[candidate.start : candidate.end],
            "start": candidate.start,
            "end": candidate.end,
            "score": float(probability),
        }
        for candidate, probability in zip(
            best[:n_best], probabilities, strict=False
        )
    ]


def no_answer(score: float) -> dict[str, Any]:
    """Returns the empty answer, in the form of `best_answers`."""
    return {"text": "", "start": 0, "end": 0, "score": score}


# In a TensorFlow graph

NEVER = float("-inf")


class Answers(NamedTuple):
    """The best answer of each sample, each field `(samples,)`."""

    texts: Tensor
    starts: Tensor
    """The first character. Start and end are 0 if there is no answer."""
    ends: Tensor
    probabilities: Tensor
    """The softmax of the scores of the best twenty; 0 if there is no answer."""
    tops: Tensor
    """The score; minus infinity if there is no answer."""


class Candidates(NamedTuple):
    """The best answers of each window, each field `(windows, 20)`."""

    scores: Tensor
    """Minus infinity where a window has fewer answers."""
    starts: Tensor
    """The first characters."""
    ends: Tensor


def candidates_in_graph(
    windows: QuestionWindows,
    start_logits: Tensor,
    end_logits: Tensor,
    beam_starts: Tensor | None,
    max_answer_length: int,
) -> Candidates:
    """Returns the best answers in each window.

    Args:
        windows: the `QuestionWindows`.
        start_logits: tensor of shape `(rows, length)`, the scores of start
            positions.
        end_logits: tensor of shape `(rows, length)`, the scores of end
            positions; or `(rows, starts, length)` if they depend on the start.
        beam_starts: integer tensor of shape `(rows, starts)`, the start
            positions in the beam; `None` takes the best ones.
        max_answer_length: int. Maximum number of pieces of an answer.
    """
    import tensorflow as tf

    positions = _Positions(windows, tf.shape(start_logits)[1])
    own = positions.dense(windows.own, False)
    start_logits = tf.where(own, start_logits, NEVER)  # (B, T)
    if beam_starts is None:
        beam = tf.minimum(BEAM, tf.shape(start_logits)[1])
        start, beam_starts = tf.math.top_k(start_logits, beam)  # (B, S)
        end_logits = end_logits[:, None]  # (B, 1, T)
    else:
        start = tf.gather(start_logits, beam_starts, batch_dims=1)

    after = tf.range(max_answer_length)
    stops = beam_starts[..., None] + after  # (B, S, pieces of the answer)
    limit = windows.offset + tf.cast(windows.contexts.row_lengths(), "int32")
    inside = stops < limit[:, None, None]
    stops = tf.where(inside, stops, 0)
    end_logits = tf.broadcast_to(
        end_logits,
        tf.concat([tf.shape(beam_starts), tf.shape(start_logits)[1:]], 0),
    )
    ends = tf.gather(end_logits, stops, batch_dims=2)
    scores = tf.where(inside, start[..., None] + ends, NEVER)

    starts = tf.broadcast_to(beam_starts[..., None], tf.shape(stops))
    scores, (starts, stops) = _best(
        _flat(scores), (_flat(starts), _flat(stops))
    )  # (B, 20)
    return Candidates(
        scores,
        tf.gather(positions.dense(windows.starts, 0), starts, batch_dims=1),
        tf.gather(positions.dense(windows.ends, 0), stops, batch_dims=1),
    )


def best_answers_in_graph(
    found: Candidates, samples: Tensor, contexts: Tensor
) -> Answers:
    """Returns the best answer in each context.

    Args:
        found: the `Candidates` of all windows, in order.
        samples: integer tensor of shape `(windows,)`, the numbers of their
            contexts.
        contexts: string tensor of shape `(samples,)`.
    """
    import tensorflow as tf

    count = tf.shape(contexts, out_type="int64")[0]
    scores, first, last = (
        _flat(
            tf.RaggedTensor.from_value_rowids(
                part, samples, nrows=count, validate=False
            ).to_tensor(empty)
        )
        for part, empty in zip(found, (NEVER, 0, 0), strict=True)
    )  # (N, 20 · windows)
    # Every sample has a window, but the batch may be empty.
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
    found = top > NEVER
    weights = tf.exp(scores - tf.where(found, top, 0.0)[:, None])
    probabilities = 1.0 / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0)
    first, last = (tf.where(found, character, 0) for character in (first, last))
    # Invalid UTF-8 counts as many characters as in the tokenizer.
    readable = tf.strings.unicode_transcode(contexts, "UTF-8", "UTF-8")
    texts = tf.strings.substr(readable, first, last - first, "UTF8_CHAR")
    return Answers(texts, first, last, tf.where(found, probabilities, 0.0), top)


class _Positions:
    """Aligns values of pieces with the positions of their sequences."""

    def __init__(self, windows: QuestionWindows, length: Tensor) -> None:
        import tensorflow as tf

        self._length = tf.cast(length, "int64")
        self._before = tf.RaggedTensor.from_row_lengths(
            tf.zeros([tf.reduce_sum(windows.offset)], "int32"),
            tf.cast(windows.offset, "int64"),
        )

    def dense(self, of_pieces: Tensor, padding: object) -> Tensor:
        """Converts ragged `(rows, None)` to dense `(rows, length)`."""
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
    """Returns the best scores of each row, and their other values."""
    import tensorflow as tf

    scores, chosen = tf.math.top_k(
        scores, tf.minimum(BEAM, tf.shape(scores)[1])
    )
    return scores, tuple(
        tf.gather(other, chosen, batch_dims=1) for other in others
    )
