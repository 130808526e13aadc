"""Trimming of segments beside that of TensorFlow Text and of KerasHub."""

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text

from keras_convbert.models.base.segment_packer import SegmentPacker
from keras_convbert.text.trimming import trim_round_robin_in_graph

pytestmark = pytest.mark.once


def random_segments(rng, count, rows):
    lengths = rng.integers(0, 9, size=(count, rows)) * rng.integers(
        0, 2, size=(count, rows)
    )
    return [
        tf.RaggedTensor.from_row_lengths(
            rng.integers(5, 100, size=row_lengths.sum()), row_lengths
        )
        for row_lengths in lengths
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_it_keeps_what_tensorflow_text_keeps(count):
    rng = np.random.default_rng(count)
    for rows in (0, 1, 40):
        segments = random_segments(rng, count, rows)
        for budget in (0, 1, 2, 3, 4, 5, 8, 13, 40):
            found = trim_round_robin_in_graph(segments, budget)
            wanted = tensorflow_text.RoundRobinTrimmer(budget).trim(segments)
            for one, other in zip(found, wanted, strict=True):
                assert one.to_list() == other.to_list()


@pytest.mark.parametrize("truncate", ["round_robin", "waterfall"])
def test_packed_as_by_keras_hub(truncate):
    arguments = {
        "start_value": 2,
        "end_value": 3,
        "pad_value": 0,
        "truncate": truncate,
    }
    rng = np.random.default_rng(0)
    for count, length in [(1, 3), (2, 3), (2, 8), (2, 9), (2, 40), (3, 10)]:
        segments = tuple(random_segments(rng, count, 20))
        ours, theirs = (
            cls(sequence_length=length, **arguments)
            for cls in (SegmentPacker, keras_hub.layers.MultiSegmentPacker)
        )
        lists = tuple(segment.to_list() for segment in segments)
        for ends in (True, False):
            wanted = theirs(lists, add_start_value=ends, add_end_value=ends)
            for packer, inputs in [
                (ours, segments),
                (ours, lists),
                (theirs, segments),
            ]:
                found = packer(inputs, add_start_value=ends, add_end_value=ends)
                for one, other in zip(found, wanted, strict=True):
                    np.testing.assert_array_equal(one, other)
