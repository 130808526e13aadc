from typing import NamedTuple

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
