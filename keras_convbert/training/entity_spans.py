"""Where entities start and end, by the rules of `conlleval`, on tensors."""

import re
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_convbert.types import Tensor

_TAG = re.compile(r"(O)|([BIESLU])(?:-(.*))?", re.DOTALL)
_SYNONYMS = {"L": "E", "U": "S"}


class TagTables(NamedTuple):
    """What tags mean, by their ids. The last id is for `"O"`."""

    starts: Any
    """Whether an entity starts at the second of two neighbours."""

    stops: Any
    """Whether an entity stops at the first of two neighbours."""

    types: Any
    """The number of the type of each tag."""


def tag_tables(labels: Sequence[str]) -> TagTables:
    """Tables of the labels, and of `"O"` after them."""
    tags = [_read_tag(label) for label in (*labels, "O")]
    prefixes, types = (np.array(part) for part in zip(*tags, strict=True))
    inside = prefixes != "O"
    starts = inside & (
        np.isin(prefixes, ["B", "S"])
        | np.isin(prefixes, ["E", "S", "O"])[:, None]
        | (types != types[:, None])
    )
    stops = inside[:, None] & (starts | ~inside)
    return TagTables(starts, stops, np.unique(types, return_inverse=True)[1])


def find_spans(ids: Tensor, tables: TagTables) -> tuple[Tensor, Tensor, Tensor]:
    """Where entities start, the position after their end, and their type.

    All are of shape `(batch, length + 1)`; the last two hold at starts alone.
    """
    outside = len(tables.types) - 1
    padded = ops.pad(ids, ((0, 0), (1, 1)), constant_values=outside)
    tags = padded[:, 1:]
    pairs = padded[:, :-1] * len(tables.types) + tags
    starts = ops.take(tables.starts.reshape(-1), pairs)
    stops = ops.take(tables.stops.reshape(-1), pairs)
    end = ops.shape(pairs)[1]
    ends = ops.sort(ops.where(stops, ops.arange(end), end), axis=1)
    number = ops.cumsum(ops.cast(starts, "int32"), axis=1) - 1
    ends = ops.take_along_axis(ends, ops.maximum(number, 0), axis=1)
    return starts, ends, ops.take(tables.types, tags)


def _read_tag(label: str) -> tuple[str, str]:
    """Prefix and type of a tag, `"_"` where it has none."""
    match = _TAG.fullmatch(label) if isinstance(label, str) else None
    if match is None:
        raise ValueError(
            'Invalid value for argument `labels`. Expected "O", or one of B, '
            'I, E, S, L, U, alone or with a type, as in "B-PER". Received: '
            f"label={label!r}"
        )
    outside, prefix, kind = match.groups()
    return outside or _SYNONYMS.get(prefix, prefix), kind or "_"
