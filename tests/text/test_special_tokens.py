"""Segments and their special tokens, by hand and in both forms."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_convbert.text.special_tokens import pad_segments
from keras_convbert.text.special_tokens import pad_segments_in_graph

pytestmark = pytest.mark.once
TOKENIZER = SimpleNamespace(pad_token_id=9, cls_token_id=2, sep_token_id=3)


def test_two_segments():
    inputs = pad_segments(TOKENIZER, [([5], [6, 7]), ([], [])], 8)
    wanted = {
        "token_ids": [[2, 5, 3, 6, 7, 3, 9, 9], [2, 3, 3, 9, 9, 9, 9, 9]],
        "segment_ids": [[0, 0, 0, 1, 1, 1, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]],
        "padding_mask": [[1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]],
    }
    assert {name: array.tolist() for name, array in inputs.items()} == wanted
    assert {array.dtype.name for array in inputs.values()} == {"int32"}


@pytest.mark.parametrize("segments", [1, 2, 3])
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_a_graph_gives_the_same(batch, segments):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    rows = [
        [rng.integers(10, size=size) for size in rng.integers(4, size=segments)]
        for _ in range(batch)
    ]
    columns = [
        tf.RaggedTensor.from_row_lengths(
            np.array([n for row in rows for n in row[i]], "int32"),
            [len(row[i]) for row in rows],
        )
        for i in range(segments)
    ]
    pad = tf.function(lambda parts: pad_segments_in_graph(TOKENIZER, parts, 14))
    found = pad(columns)
    for name, array in pad_segments(TOKENIZER, rows, 14).items():
        assert found[name].dtype == "int32"
        np.testing.assert_array_equal(found[name], array)
