"""Entities in a sequence of tags, such as `"B-PER"`."""

import re
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_convbert.types import Tensor

VALID_TAG = re.compile(r"O|[BIESLU](-.*)?", re.DOTALL)
SYNONYMS = {"L": "E", "U": "S"}


class EntitySpan(NamedTuple):
    """An entity of the words from `start` up to, not including, `end`."""

    label: str
    start: int
    end: int


class Tag(NamedTuple):
    """A label of a word: the prefix, and the type of the entity."""

    prefix: str
    type: str

    @classmethod
    def read(cls, label: str) -> "Tag":
        """Splits a label; the type is `"_"` if it has none."""
        prefix, _, kind = label.partition("-")
        return cls(SYNONYMS.get(prefix, prefix), kind or "_")

    @property
    def is_outside(self) -> bool:
        return self.prefix == "O"

    def starts_entity(self, before: "Tag") -> bool:
        """Whether an entity starts here, after the tag `before`."""
        return not self.is_outside and (
            self.prefix in ("B", "S")
            or before.prefix in ("E", "S", "O")
            or self.type != before.type
        )

    def ends_entity(self, before: "Tag") -> bool:
        """Whether an entity ends between the tag `before` and this one."""
        return not before.is_outside and (
            self.is_outside or self.starts_entity(before)
        )


OUTSIDE = Tag("O", "_")


def entity_spans(labels: list[str]) -> list[EntitySpan]:
    """Returns the entities in the labels of words, such as `"B-PER"`.

    Labels of BIO, IOB1 and BIOES (or BILOU) are read alike, by the rules of
    the CoNLL scorer: an entity starts where its prefix says so, after an end,
    or where the type changes. Malformed sequences are read by these rules too.

    Args:
        labels: list of strings, one per word.

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
    start, label, before = 0, "", OUTSIDE
    for position, name in enumerate([*labels, "O"]):
        tag = Tag.read(name)
        if tag.ends_entity(before):
            spans.append(EntitySpan(label, start, position))
        if tag.starts_entity(before):
            start, label = position, name.partition("-")[2]
        before = tag
    return spans


class TagTables(NamedTuple):
    """The rules for tags as arrays, indexed by ids. The last id is `"O"`."""

    starts: Any
    """Bools `(tags, tags)`: an entity starts at the second of two tags."""

    ends: Any
    """Bools `(tags, tags)`: an entity ends at the first of two tags."""

    types: Any
    """Integers `(tags,)`: the number of the type of each tag."""


def tag_tables(labels: Sequence[str]) -> TagTables:
    """Returns the tables for labels, with `"O"` added after them.

    Raises:
        ValueError: if a label is not a tag.
    """
    for label in labels:
        if not isinstance(label, str) or not VALID_TAG.fullmatch(label):
            raise ValueError(
                'Invalid value for argument `labels`. Expected "O", or one of '
                'B, I, E, S, L, U, alone or with a type, as in "B-PER". '
                f"Received: label={label!r}"
            )
    tags = [*map(Tag.read, labels), OUTSIDE]
    _, types = np.unique([tag.type for tag in tags], return_inverse=True)
    return TagTables(
        np.array([[tag.starts_entity(one) for tag in tags] for one in tags]),
        np.array([[tag.ends_entity(one) for tag in tags] for one in tags]),
        types,
    )


def find_spans(ids: Tensor, tables: TagTables) -> tuple[Tensor, Tensor, Tensor]:
    """Finds the entities in a batch of tag ids, as `entity_spans` does.

    Args:
        ids: integer tensor of shape `(batch, length)`.
        tables: the `TagTables` of the tags.

    Returns:
        Whether an entity starts at a position, the position after its end,
        and the number of its type, each of shape `(batch, length + 1)`. The
        last two are defined at starts alone.
    """
    outside = len(tables.types) - 1
    padded = ops.pad(ids, ((0, 0), (1, 1)), constant_values=outside)
    tags = padded[:, 1:]
    pairs = padded[:, :-1] * len(tables.types) + tags
    starts = ops.take(tables.starts.reshape(-1), pairs)
    stops = ops.take(tables.ends.reshape(-1), pairs)
    end = ops.shape(pairs)[1]
    ends = ops.sort(ops.where(stops, ops.arange(end), end), axis=1)
    number = ops.cumsum(ops.cast(starts, "int32"), axis=1) - 1
    ends = ops.take_along_axis(ends, ops.maximum(number, 0), axis=1)
    return starts, ends, ops.take(tables.types, tags)
