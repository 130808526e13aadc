import logging

import keras
import numpy as np
import pytest

from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.checkpoints.assignment import assign_arrays
from keras_convbert.checkpoints.errors import CheckpointError

TABLE = [
    WeightMapping("a/kernel", "dense/kernel", (1, 2)),
    WeightMapping("a/bias", "dense/bias", (2,)),
    WeightMapping("a/depthwise", "depthwise", (1, 1, 0)),
    WeightMapping("a/unused", "not/there", (1,)),
]


class Source:
    """Arrays in memory."""

    def __init__(self, **changes):
        self.arrays = {
            "a/kernel": np.arange(30.0).reshape(5, 6),
            "a/bias": np.arange(6.0),
            "a/depthwise": np.arange(8.0).reshape(4, 2, 1),
            **changes,
        }
        self.arrays = {k: v for k, v in self.arrays.items() if v is not None}
        self.shapes = {name: a.shape for name, a in self.arrays.items()}

    def array(self, name):
        return self.arrays[name]

    def __str__(self):
        return "a source"


def variables():
    with keras.name_scope("dense"):
        kernel = keras.Variable(np.zeros((5, 2, 3)), name="kernel")
        bias = keras.Variable(np.zeros((2, 3)), name="bias")
    return [kernel, bias, keras.Variable(np.zeros((4, 2)), name="depthwise")]


def test_every_array_reaches_its_variable():
    source, targets = Source(), variables()
    assign_arrays(source, targets, TABLE)
    for variable, name in zip(targets, source.arrays, strict=True):
        wanted = source.array(name).reshape(variable.shape)
        np.testing.assert_array_equal(variable.numpy(), wanted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a/bias": None}, r"Missing:\n  a/bias \(6,\)"),
        (
            {"a/kernel": np.zeros((6, 5))},
            r"another shape:\n  a/kernel \(6, 5\) instead of \(5, 6\)",
        ),
        (
            {"a/depthwise": np.zeros((4, 2, 2))},
            r"\(4, 2, 2\) instead of \(4, 2, 1\)",
        ),
        ({"b/kernel": np.zeros(3)}, r"Unknown:\n  b/kernel \(3,\)"),
        ({"a/bias": None, "b": np.zeros(1)}, r"(?s)Missing.*Unknown"),
    ],
    ids=["missing", "transposed", "too large", "unknown", "two faults"],
)
def test_faults_are_named_and_nothing_is_assigned(changes, message):
    targets = variables()
    with pytest.raises(CheckpointError, match=message):
        assign_arrays(Source(**changes), targets, TABLE)
    assert not any(variable.numpy().any() for variable in targets)


def test_other_parts_that_are_known_are_logged(caplog):
    source = Source(**{"head/kernel": np.zeros(3), "a/bias/slot": np.zeros(6)})
    with caplog.at_level(logging.INFO, logger="keras_convbert"):
        assign_arrays(source, variables(), TABLE, (r"head/.*", r".*/slot"))
    assert caplog.messages == [
        "Ignored arrays of a source:\n  a/bias/slot (6,)\n  head/kernel (3,)"
    ]


def test_a_variable_without_a_row_is_refused():
    with pytest.raises(CheckpointError, match=r"no entry for .'dense/bias'"):
        assign_arrays(Source(), variables(), [TABLE[0], TABLE[2]])
