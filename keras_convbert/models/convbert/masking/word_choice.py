"""Choice of whole words to mask.

Letters: B batch, T length, N slots for masked tokens. Words have the shape
`(B, T)` too, since a row has at most T of them.
"""

from typing import Any

from keras import ops

from keras_convbert.types import Tensor

# Each pass but the last ends at a word that does not fit, and the next one has
# room for shorter words only.
PASSES = 8


def choose_words(
    candidate: Tensor,
    continues: Tensor,
    noise: Tensor,
    counts: Tensor,
    slots: Any,
) -> tuple[Tensor, Tensor]:
    """Chooses whole words of a row for its slots.

    The words are visited in the order of their noise, the largest first. A
    word is chosen if all of its tokens fit into what is left of the count. If
    no word fits, the first one fills the slots, in part if it has more than N
    tokens.

    Args:
        candidate: bool tensor of shape `(B, T)`, the tokens of words.
        continues: bool tensor of shape `(B, T)`, true where a token belongs
            to the word of the token before it.
        noise: float tensor of shape `(B, T)`. The noise of a word is that of
            its first token.
        counts: int tensor of shape `(B, 1)`, the number of tokens to choose.
        slots: int or scalar tensor, N.

    Returns:
        Tuple of positions of shape `(B, N)`, the chosen ones first, and a bool
        tensor of the same shape, true for these.
    """
    length = ops.shape(candidate)[1]
    columns = ops.arange(length, dtype="int32")[None]  # (1, T)
    starts = ops.logical_and(candidate, ops.logical_not(continues))
    word = ops.maximum(_running_sum(starts) - 1, 0)  # (B, T)

    # The first position of each word, then the number of its tokens.
    first = ops.sort(ops.where(starts, columns, length), axis=1)
    exists = first < length
    first = ops.minimum(first, length - 1)
    tokens = ops.cast(candidate, "int32")
    total = ops.sum(tokens, axis=1, keepdims=True)
    before = ops.take_along_axis(
        _running_sum(candidate) - tokens, first, axis=1
    )
    before = ops.where(exists, before, total)
    sizes = ops.concatenate([before[:, 1:], total], axis=1) - before

    noise = ops.take_along_axis(noise, first, axis=1)
    order = ops.argsort(-ops.where(exists, noise, -1.0), axis=1)
    sizes = ops.take_along_axis(sizes, order, axis=1)
    chosen = _fill(sizes, counts)
    # If no word fits.
    none = ops.logical_not(ops.any(chosen, axis=1, keepdims=True))
    first_word = ops.logical_and(columns == 0, sizes > 0)
    chosen = ops.logical_or(chosen, ops.logical_and(none, first_word))

    rank = ops.argsort(order, axis=1)
    chosen = ops.take_along_axis(chosen, rank, axis=1)
    chosen = ops.take_along_axis(chosen, word, axis=1)
    chosen = ops.logical_and(chosen, candidate)  # (B, T), of tokens
    score = ops.where(chosen, 2 * length, length) - columns
    positions = ops.top_k(ops.cast(score, "float32"), slots)[1]  # (B, N)
    positions = ops.cast(positions, "int32")
    return positions, ops.take_along_axis(chosen, positions, axis=1)


def _fill(sizes: Tensor, counts: Tensor) -> Tensor:
    """Returns which words are chosen, of words in the order of visits."""
    chosen = ops.zeros_like(sizes, dtype="bool")
    left = counts
    for _ in range(PASSES):
        fits = ops.logical_and(sizes > 0, sizes <= left)
        fits = ops.logical_and(fits, ops.logical_not(chosen))
        filled = ops.cumsum(ops.where(fits, sizes, 0), axis=1)
        # Not the words after the first one that exceeds what is left.
        taken = ops.logical_and(fits, filled <= left)
        chosen = ops.logical_or(chosen, taken)
        left = left - ops.sum(ops.where(taken, sizes, 0), axis=1, keepdims=True)
    return chosen


def _running_sum(values: Tensor) -> Tensor:
    return ops.cumsum(ops.cast(values, "int32"), axis=1)
