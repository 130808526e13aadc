"""Sequences side by side in one row, and each in a row of its own."""

import numpy as np


def packed(sequences, gap, length):
    """The inputs of one row that holds `sequences`, padding between them.

    A sequence is a dict of `token_ids` and `segment_ids`, lists.
    """
    row = {
        name: np.zeros((1, length), "int32")
        for name in ("token_ids", "segment_ids", "padding_mask")
    }
    for number, (sequence, place) in enumerate(
        zip(sequences, places(sequences, gap), strict=True), 1
    ):
        for name, values in sequence.items():
            row[name][0, place] = values
        row["padding_mask"][0, place] = number
    return row


def places(sequences, gap):
    """Where in that row each sequence stands."""
    found, start = [], 0
    for sequence in sequences:
        stop = start + len(sequence["token_ids"])
        found.append(slice(start, stop))
        start = stop + gap
    return found


def alone(sequences, length):
    """The inputs of as many rows as there are sequences."""
    rows = [packed([sequence], 0, length) for sequence in sequences]
    return {
        name: np.concatenate([row[name] for row in rows]) for name in rows[0]
    }


def random_sequences(lengths, vocabulary_size, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "token_ids": rng.integers(5, vocabulary_size, length),
            "segment_ids": np.arange(length) > rng.integers(length + 1),
        }
        for length in lengths
    ]
