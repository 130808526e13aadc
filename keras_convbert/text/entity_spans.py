import re
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_convbert.types import Tensor

OUTSIDE = "O"


class EntitySpan(NamedTuple):
    """Words `start` to `end`, `end` not included, that are one entity."""

    label: str
    start: int
    end: int


def entity_spans(labels: list[str]) -> list[EntitySpan]:
    """The entities that labels of words, as `"B-PER"`, speak of.

    Labels of BIO, IOB1 and BIOES (or BILOU) are read alike, by the rules of
    the CoNLL scorer: an entity starts where its prefix says so or its kind
    changes, and what is malformed is read as the most that it can mean.

    Args:
        labels: list of strings, one a word.

    Returns:
        A list of `(label, start, end)`: the words from `start` to `end`, which
        is not included, are one entity.

    Example:

    ```python
    from keras_convbert.models import entity_spans

    entity_spans(["B-PER", "I-PER", "O"])  # [("PER", 0, 2)]
    ```
    """
    spans = []
    start, kind, before = 0, "", OUTSIDE
    for place, label in enumerate([*labels, OUTSIDE]):
        prefix, _, new = label.partition("-")
        begins = prefix in "BSU" or before in "ESLUO" or new != kind
        if begins or prefix == OUTSIDE:
            if before != OUTSIDE:
                spans.append(EntitySpan(kind, start, place))
            start = place
        kind, before = new, prefix
    return spans


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
