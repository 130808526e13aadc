"""Both forms of the rules, tag by tag, against `seqeval`."""

import itertools

import numpy as np
import pytest
from keras import ops
from seqeval.metrics.sequence_labeling import get_entities

from keras_convbert.text.entity_spans import entity_spans
from keras_convbert.text.entity_spans import find_spans
from keras_convbert.text.entity_spans import tag_tables
from tests.layers.lifecycle import to_numpy

LABELS = ["O", "B", "I", "B-X", "I-X", "E-X", "S-X", "I-Y-Z", "E-Y-Z"]
TYPES = ["_", "_", "_", "X", "X", "X", "X", "Y-Z", "Y-Z"]


@pytest.mark.parametrize("length", [1, 2, 4])
def test_every_sequence_of_tags_has_the_entities_of_seqeval(length):
    ids = np.array(list(itertools.product(range(len(LABELS)), repeat=length)))
    tables = tag_tables(LABELS)
    starts, ends, types = map(
        to_numpy, find_spans(ops.convert_to_tensor(ids, "int32"), tables)
    )
    names = dict(zip(tables.types.tolist(), TYPES, strict=False))
    assert len(names) == 3
    for row, tags in enumerate(ids):
        found = [
            (names[types[row, i]], i, ends[row, i] - 1)
            for i in np.flatnonzero(starts[row])
        ]
        labels = [LABELS[i] for i in tags]
        wanted = get_entities(labels)
        assert found == wanted
        assert [
            (span.label or "_", span.start, span.end - 1)
            for span in entity_spans(labels)
        ] == wanted


@pytest.mark.once
def test_bilou_is_read_as_bioes():
    ours = tag_tables(["O", "B-X", "I-X", "L-X", "U-X", "L", "U"])
    others = tag_tables(["O", "B-X", "I-X", "E-X", "S-X", "E", "S"])
    for table, other in zip(ours, others, strict=True):
        np.testing.assert_array_equal(table, other)


@pytest.mark.once
@pytest.mark.parametrize("label", ["X-PER", "PER", "O-PER", "BPER", "", "b", 3])
def test_what_is_no_tag_is_refused(label):
    with pytest.raises(ValueError, match=f"Received: label={label!r}$"):
        tag_tables(["O", label])
