import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from keras_convbert.training import MatthewsCorrelation
from tests.training.metric_values import quietly
from tests.training.metric_values import value_after


def samples(num_classes, size=200, seed=0):
    """Labels, scores that lean towards them, and weights with zeros."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=size)
    scores = rng.normal(size=(size, num_classes)).astype("float32")
    scores[np.arange(size), labels] += 1
    weights = rng.integers(4, size=size) * rng.random(size)
    return labels, scores, weights.astype("float32")


@pytest.mark.parametrize("weighted", [False, True], ids=["all", "weighted"])
@pytest.mark.parametrize("num_classes", [2, 3, 11])
def test_equals_sklearn(num_classes, weighted):
    labels, scores, weights = samples(num_classes)
    weights = weights if weighted else None
    metric = MatthewsCorrelation(num_classes)
    wanted = matthews_corrcoef(labels, scores.argmax(1), sample_weight=weights)
    assert 0.1 < wanted < 0.9
    for _ in range(2):
        found = value_after(metric, labels, scores, weights)
        assert found == pytest.approx(wanted, abs=1e-6)
        metric.reset_state()
    assert float(metric.result()) == 0


@pytest.mark.parametrize("threshold", [0.5, 0.0], ids=["half", "logits"])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["flat", "column"])
def test_one_score_a_sample(shape, threshold):
    labels, scores, _ = samples(2)
    scores = scores[:, 1]
    found = value_after(
        MatthewsCorrelation(threshold=threshold),
        labels.reshape(shape),
        scores.reshape(shape),
    )
    wanted = matthews_corrcoef(labels, scores > threshold)
    assert wanted > 0.1
    assert found == pytest.approx(wanted, abs=1e-6)


def test_a_score_on_the_threshold_is_class_0():
    metric = MatthewsCorrelation()
    metric.update_state([0, 1], [0.5, 0.51])
    assert float(metric.result()) == pytest.approx(1.0)


def test_rare_classes_keep_their_digits():
    """Half a million samples, of which 40 are of class 1."""
    labels = np.zeros(500_000, "int32")
    labels[:40] = 1
    classes = np.roll(labels, 7)
    metric = MatthewsCorrelation()
    found = value_after(metric, labels, np.eye(2, dtype="float32")[classes])
    wanted = matthews_corrcoef(labels, classes)
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("weight", [1.0, 0.1], ids=["whole", "fraction"])
@pytest.mark.parametrize(
    ("labels", "classes"),
    [([1] * 50, [0, 1] * 25), ([0, 1] * 25, [1] * 50), ([0] * 50, [0] * 50)],
    ids=["labels", "predictions", "both"],
)
def test_one_class_alone_is_0(labels, classes, weight):
    weights = np.full(50, weight, "float32")
    scores = np.eye(2, dtype="float32")[classes]
    assert quietly(matthews_corrcoef, labels, classes) == 0
    metric = MatthewsCorrelation()
    assert value_after(metric, np.array(labels), scores, weights) == 0


def test_labels_that_are_no_class_do_not_count():
    metric = MatthewsCorrelation()
    metric.update_state([-1, 1, 2, 0, 0], np.eye(2)[[0, 1, 1, 0, 1]])
    wanted = matthews_corrcoef([1, 0, 0], [1, 0, 1])
    assert float(metric.result()) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("num_classes", "y_true", "y_pred", "weights", "message"),
    [
        (3, (4,), (4, 2), None, r"3 classes. Received: y_pred.shape=\(4, 2\)"),
        (3, (4,), (4, 1), None, r"3 classes. Received: y_pred.shape=\(4, 1\)"),
        (2, (4, 5), (4, 2), None, r"`y_true`.* y_true.shape=\(4, 5\)"),
        (2, (4,), (4, 5, 2), None, r"`y_pred`.* y_pred.shape=\(4, 5, 2\)"),
        (2, (4,), (3, 2), None, "Received: y_true of 4, y_pred of 3"),
        (2, (4,), (4, 2), (4, 2), r"`sample_weight`.*shape=\(4, 2\)"),
        (2, (4,), (4, 2), (1,), "y_true of 4, sample_weight of 1"),
    ],
)
def test_wrong_shapes_are_refused(
    num_classes, y_true, y_pred, weights, message
):
    weights = None if weights is None else np.ones(weights)
    metric = MatthewsCorrelation(num_classes)
    with pytest.raises(ValueError, match=message):
        metric.update_state(np.zeros(y_true), np.zeros(y_pred), weights)


def test_one_class_is_refused():
    with pytest.raises(
        ValueError, match=r"at least 2. Received: num_classes=1"
    ):
        MatthewsCorrelation(1)
