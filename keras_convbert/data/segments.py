"""Divides the text of a document into rows of one or two segments."""

import math
from collections.abc import Iterable
from collections.abc import Iterator

import numpy as np

from keras_convbert.text.special_tokens import PAIR_SPECIAL_TOKENS

SINGLE_SEGMENT_RATE = 0.1
SHORT_ROW_RATE = 0.05
SHORTEST_ROW = 5


def pack_segments(
    lengths: Iterable[int], sequence_length: int, rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Divides sentences into rows, each of a first and a second segment.

    This is the rule of ELECTRA. Sentences are collected until they fill a row.
    They go to the first segment as long as it stays shorter than half a row;
    the sentence that crosses the half goes there too with probability 0.5. The
    rest is the second segment. With probability 0.1 a row has a first segment
    only, and with probability 0.05 its length is drawn at random.

    There are two differences. A row is contiguous text: once the second
    segment has started, all further sentences go there. And no token is lost:
    what does not fit into a row starts the next one.

    Args:
        lengths: numbers of tokens of the sentences of a document.
        sequence_length: length of a row, special tokens included.
        rng: source of the random choices.

    Returns:
        Iterator of pairs: the number of tokens of the first segment of a row,
        at least one, and that of the second segment, which may be 0.

    Reference:
        - [ELECTRA](https://github.com/google-research/electra),
          `build_pretraining_dataset.py`
    """
    pending: list[int] = []
    total = 0
    target = sequence_length - PAIR_SPECIAL_TOKENS
    for length in filter(None, lengths):
        pending.append(length)
        total += length
        while total >= target:
            row = _segments(pending, target, sequence_length, rng)
            yield row
            pending = _without(pending, sum(row))
            total -= sum(row)
            target = _next_target(sequence_length, rng)
    if pending:
        yield _segments(pending, target, sequence_length, rng)


def _segments(
    sentences: list[int],
    target: int,
    sequence_length: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    alone = rng.random() < SINGLE_SEGMENT_RATE
    half = math.inf if alone else target // 2
    first, *others = sentences
    second = sum(others)
    for length in others:
        fits = first + length < half
        if not fits and (first >= half or rng.random() >= 0.5):
            break
        first += length
        second -= length
    first = min(first, sequence_length - PAIR_SPECIAL_TOKENS + 1)
    room = sequence_length - PAIR_SPECIAL_TOKENS - first
    return first, min(second, max(0, room))


def _without(lengths: list[int], used: int) -> list[int]:
    """Returns `lengths` without the first `used` tokens."""
    rest = []
    for length in lengths:
        taken = min(length, used)
        used -= taken
        if length > taken:
            rest.append(length - taken)
    return rest


def _next_target(sequence_length: int, rng: np.random.Generator) -> int:
    length = sequence_length
    if rng.random() < SHORT_ROW_RATE:
        length = int(rng.integers(SHORTEST_ROW, sequence_length + 1))
    return length - PAIR_SPECIAL_TOKENS
