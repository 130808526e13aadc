import random

import numpy as np
import pytest

from keras_convbert.data.segments import pack_segments

pytestmark = pytest.mark.once


class Draws:
    """In place of a generator: what it is to draw, written down."""

    def __init__(self, *numbers):
        self._numbers = iter(numbers)

    def random(self):
        return next(self._numbers)

    def integers(self, low, high):
        number = next(self._numbers)
        assert low <= number < high
        return number


PAIR, ALONE = 0.5, 0.05
THERE, NOT_THERE = 0.4, 0.6
FULL, SHORT = 0.5, 0.01


@pytest.mark.parametrize(
    ("lengths", "draws", "rows"),
    [
        # Rows of 16 have room for 13 tokens in two segments, 14 in one. Half
        # of 13 is 6: while the first segment stays under 6, it gets more.
        ([2, 3, 4, 4], [PAIR, NOT_THERE, FULL], [(5, 8)]),
        ([2, 3, 4, 4], [PAIR, THERE, FULL], [(9, 4)]),
        ([2, 3, 4, 4], [ALONE, FULL], [(13, 0)]),
        # The second segment has begun: 1 goes there, though it would fit.
        ([3, 8, 1, 1], [PAIR, NOT_THERE, FULL], [(3, 10)]),
        # What is too long for a row begins the next one.
        ([5, 20], [PAIR, NOT_THERE, FULL, PAIR], [(5, 8), (12, 0)]),
        ([30], [PAIR, FULL, PAIR, FULL, PAIR], [(14, 0), (14, 0), (2, 0)]),
        ([14], [PAIR, FULL], [(14, 0)]),
        ([13, 1, 6], [PAIR, FULL, PAIR, NOT_THERE], [(13, 0), (1, 6)]),
        # The second row is to have 9 places, and so 6 tokens; half is 3.
        (
            [13, 2, 4, 7],
            [PAIR, SHORT, 9, PAIR, NOT_THERE, FULL, PAIR],
            [(13, 0), (2, 4), (7, 0)],
        ),
        # Lines without tokens are as good as none; so is no text.
        ([0, 4, 0, 3, 0], [PAIR, NOT_THERE], [(4, 3)]),
        ([0, 0], [], []),
        ([], [], []),
    ],
)
def test_hand_worked_rows(lengths, draws, rows):
    assert list(pack_segments(lengths, 16, Draws(*draws))) == rows


@pytest.mark.parametrize("sequence_length", [8, 33, 128])
def test_rows_take_the_whole_text_in_order_and_fit(sequence_length):
    rng = np.random.default_rng(0)
    for mean in (1, 10, 300):
        lengths = rng.poisson(mean, size=200).tolist()
        rows = np.array(list(pack_segments(lengths, sequence_length, rng)))
        first, second = rows.T
        assert rows.sum() == sum(lengths)
        assert first.min() >= 1
        assert (first + 2 + second + (second > 0)).max() <= sequence_length


def authors_rows(lengths, max_length, rng, inverted):
    """ELECTRA's rule, and as the ConvBERT authors have it, inverted.

    Both return lengths of the two segments before they are cut to a row.
    """
    sentences, target, rows = [], max_length, []
    for length in lengths:
        sentences.append(length)
        if sum(sentences) < target:
            continue
        goal = 100_000 if rng.random() < 0.1 else (target - 3) // 2
        first, second = [], []
        for sentence in sentences:
            if (
                bool(first) == inverted
                or sum(first) + sentence < goal
                or (
                    bool(second) == inverted
                    and sum(first) < goal
                    and rng.random() < 0.5
                )
            ):
                first.append(sentence)
            else:
                second.append(sentence)
        rows.append((sum(first), sum(second)))
        sentences, target = [], max_length
        if rng.random() < 0.05:
            target = rng.randint(5, max_length)
    return np.array(rows)


def test_most_rows_are_pairs_and_none_has_an_empty_first_segment():
    """88 % are pairs by ELECTRA's rule, 5 % by the inverted one."""
    rng = np.random.default_rng(0)
    lengths = np.ceil(rng.lognormal(np.log(20), 0.6, size=40_000))
    lengths = lengths.astype(int).tolist()
    ours = np.array(list(pack_segments(lengths, 128, rng)))
    assert 0.85 < np.mean(ours[:, 1] > 0) < 0.91
    assert ours[:, 0].min() > 0

    right, wrong = (
        authors_rows(lengths, 128, random.Random(0), inverted)
        for inverted in (False, True)
    )
    assert 0.85 < np.mean(right[:, 1] > 0) < 0.91
    assert np.mean(wrong.min(axis=1) > 0) < 0.1
    assert np.any(wrong[:, 0] == 0)
