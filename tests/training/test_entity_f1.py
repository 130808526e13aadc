import numpy as np
import pytest
from seqeval.metrics import f1_score

from keras_convbert.training import EntityF1
from tests.training.metric_values import quietly
from tests.training.metric_values import value_after

SCHEMES = {
    "IOB1": ["O", "I-PER", "B-PER", "I-LOC", "B-LOC"],
    "BIO": ["B-PER", "I-PER", "B-LOC", "I-LOC", "O", "B", "I"],
    "BIOES": ["O"] + [f"{p}-{t}" for t in ("PER", "A-B") for p in "BIES"],
    "mixed": ["S", "E", "O", "I-PER", "B-LOC", "E-LOC", "S-PER", "I", "E-PER"],
}


def sequences(labels, size=120, length=13, seed=0):
    """Random ids, malformed as they come, and ids of which some differ."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(len(labels), size=(size, length))
    other = rng.integers(len(labels), size=(size, length))
    predicted = np.where(rng.random((size, length)) < 0.2, other, ids)
    kept = rng.random((size, length)) < 0.8
    kept[3] = False
    return ids, predicted, kept


def reference(labels, ids, predicted, kept):
    rows = [
        [
            [labels[i] for i in row[chosen]]
            for row, chosen in zip(array, kept, strict=True)
        ]
        for array in (ids, predicted)
    ]
    wanted = f1_score(*rows)
    assert 0.2 < wanted < 0.9
    return wanted


def scores_of(predicted, labels):
    rng = np.random.default_rng(1)
    scores = rng.random((*predicted.shape, len(labels)))
    return (scores + 2 * np.eye(len(labels))[predicted]).astype("float32")


@pytest.mark.parametrize("form", ["ids", "scores"])
@pytest.mark.parametrize("weighted", [False, True], ids=["all", "weighted"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_equals_seqeval(scheme, weighted, form):
    labels = SCHEMES[scheme]
    ids, predicted, kept = sequences(labels)
    if not weighted:
        kept = np.ones_like(kept)
    wanted = reference(labels, ids, predicted, kept)
    y_pred = scores_of(predicted, labels) if form == "scores" else predicted
    weights = kept.astype("float32") * 0.3 if weighted else None
    metric = EntityF1(labels)
    for _ in range(2):
        found = value_after(metric, ids, y_pred, weights)
        assert found == pytest.approx(wanted, abs=1e-6)
        metric.reset_state()
    assert float(metric.result()) == 0


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["flat", "column"])
def test_weights_of_whole_sequences(shape):
    labels = SCHEMES["BIOES"]
    ids, predicted, kept = sequences(labels)
    rows = kept[:, :1]
    wanted = reference(labels, ids, predicted, np.broadcast_to(rows, ids.shape))
    found = value_after(EntityF1(labels), ids, predicted, rows.reshape(shape))
    assert found == pytest.approx(wanted, abs=1e-6)


def test_neighbours_close_up_over_what_is_left_out():
    """A word piece between two words does not part an entity."""
    metric = EntityF1(["O", "B-PER", "I-PER"])
    metric.update_state([[1, -100, 2, 0]], [[1, 0, 2, 0]], [[1, 0, 1, 1]])
    assert float(metric.result()) == 1
    metric.reset_state()
    metric.update_state([[1, 0, 2, 0]], [[1, 2, 2, 0]])
    assert float(metric.result()) == 0


@pytest.mark.parametrize(
    ("labels", "ids", "predicted", "wanted"),
    [
        # Same span, another type; same start, another end; and the reverse.
        (["O", "B-X", "B-Y"], [1, 0], [2, 0], 0),
        (["O", "B-X", "I-X"], [1, 2, 0], [1, 0, 0], 0),
        (["O", "B-X", "I-X"], [1, 2, 0], [0, 1, 0], 0),
        # Two entities where there is one.
        (["O", "B-X", "I-X"], [1, 2, 2], [1, 1, 2], 0),
        # One of two found: 2 * 1 / (2 + 1).
        (["O", "B-X", "I-X"], [1, 2, 1], [1, 2, 0], 2 / 3),
        # I starts as B does; types part entities.
        (["O", "B-X", "I-X", "I-Y"], [1, 2, 3], [2, 2, 3], 1),
        # BILOU, which seqeval takes no account of: "U U" are two.
        (["O", "U-X", "B-X", "L-X"], [1, 1, 2, 3], [0, 1, 2, 3], 0.8),
        # No entity at all; ids that are no label.
        (["O", "B-X"], [0, 0], [0, 0], 0),
        (["O", "B-X"], [1, -1, 2], [1, 9, 0], 1),
        (["B", "I"], [0, 1, 2], [0, 1, -1], 1),
    ],
)
def test_entities_counted_by_hand(labels, ids, predicted, wanted):
    metric = EntityF1(labels)
    metric.update_state([ids], [predicted])
    assert float(metric.result()) == pytest.approx(wanted)


def test_batches_may_differ_in_length():
    labels = SCHEMES["BIO"]
    metric = EntityF1(labels)
    rows = [[], []]
    for seed, length in enumerate((4, 1, 9)):
        arrays = sequences(labels, length=length, seed=seed)[:2]
        metric.update_state(*arrays)
        for all_rows, array in zip(rows, arrays, strict=True):
            all_rows += [[labels[i] for i in row] for row in array]
    wanted = quietly(f1_score, *rows)
    assert 0.2 < wanted < 0.9
    assert float(metric.result()) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "weights", "message"),
    [
        ((2, 5), (2, 5, 4), None, r"length, 3\) or .*y_pred.shape=\(2, 5, 4\)"),
        ((2, 5), (2, 6), None, r"y_true.shape=\(2, 5\), y_pred.shape=\(2, 6\)"),
        ((2, 5), (3, 5), None, r"y_pred.shape=\(3, 5\)"),
        ((2, 5, 1), (2, 5, 3), None, r"y_true.shape=\(2, 5, 1\)"),
        ((2,), (2,), None, r"y_true.shape=\(2,\)"),
        ((2, 5), (2, 5), (2, 4), r"sample_weight.shape=\(2, 4\)"),
        ((2, 5), (2, 5), (5,), r"sample_weight.shape=\(5,\)"),
    ],
)
def test_wrong_shapes_are_refused(y_true, y_pred, weights, message):
    weights = None if weights is None else np.ones(weights)
    with pytest.raises(ValueError, match=message):
        EntityF1(["O", "B", "I"]).update_state(
            np.zeros(y_true), np.zeros(y_pred), weights
        )


@pytest.mark.parametrize("labels", [[], "O"])
def test_what_is_no_list_is_refused(labels):
    with pytest.raises(ValueError, match=r"sequence of strings.*labels="):
        EntityF1(labels)
