"""Converts the rows of shards to model inputs."""

import numpy as np

from keras_convbert.data.row_maker import LENGTH_COLUMNS


def inputs_of_rows(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the inputs for rows of a `RowMaker`, which start with lengths."""
    first, total = rows[:, :1], rows[:, 1:LENGTH_COLUMNS]  # (B, 1)
    token_ids = rows[:, LENGTH_COLUMNS:]  # (B, T)
    positions = np.arange(token_ids.shape[1])  # (T,)
    real = positions < total  # (B, T)
    return _int32(
        token_ids=token_ids,
        segment_ids=real & (positions >= first),
        padding_mask=real,
    )


def inputs_of_packed_rows(
    rows: np.ndarray, pad_token_id: int, start_token_id: int, end_token_id: int
) -> dict[str, np.ndarray]:
    """Returns the inputs for rows of a `RowPacker`.

    The padding mask numbers the sequences from 1. The special tokens mark
    their boundaries, as text never contains special tokens.
    """
    real = rows != pad_token_id  # (B, T)
    starts = rows == start_token_id
    ends = rows == end_token_id
    ended = np.cumsum(ends, axis=1) - ends  # segments before a position
    before = np.maximum.accumulate(np.where(starts, ended, 0), axis=1)
    return _int32(
        token_ids=rows,
        segment_ids=real & (ended > before),
        padding_mask=real * np.cumsum(starts, axis=1),
    )


def _int32(**arrays: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array.astype("int32") for name, array in arrays.items()}
