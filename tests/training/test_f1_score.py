import numpy as np
import pytest
from sklearn.metrics import f1_score

from keras_convbert.training import F1Score
from tests.training.metric_values import value_after
from tests.training.test_matthews_correlation import samples


@pytest.mark.parametrize("weighted", [False, True], ids=["all", "weighted"])
@pytest.mark.parametrize(
    ("num_classes", "class_id"), [(2, 0), (2, 1), (5, 0), (5, 3)]
)
def test_equals_sklearn(num_classes, class_id, weighted):
    labels, scores, weights = samples(num_classes)
    weights = weights if weighted else None
    metric = F1Score(class_id)
    wanted = f1_score(
        labels == class_id,
        scores.argmax(1) == class_id,
        pos_label=True,
        sample_weight=weights,
    )
    assert 0.1 < wanted < 0.9
    for _ in range(2):
        found = value_after(metric, labels, scores, weights)
        assert found == pytest.approx(wanted, abs=1e-6)
        metric.reset_state()
    assert float(metric.result()) == 0


@pytest.mark.parametrize("class_id", [0, 1])
@pytest.mark.parametrize("threshold", [0.5, 0.0], ids=["half", "logits"])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["flat", "column"])
def test_one_score_a_sample(shape, threshold, class_id):
    labels, scores, _ = samples(2)
    scores = scores[:, 1]
    metric = F1Score(class_id, threshold)
    found = value_after(metric, labels.reshape(shape), scores.reshape(shape))
    wanted = f1_score(labels, scores > threshold, pos_label=class_id)
    assert wanted > 0.1
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([0, 0], [0, 0]), ([1, 1], [0, 0]), ([0, 0], [1, 1])],
    ids=["neither", "labels", "predictions"],
)
def test_without_hits_it_is_0(labels, classes):
    wanted = f1_score(labels, classes, zero_division=0)
    metric = F1Score()
    metric.update_state(labels, np.eye(2)[classes])
    assert float(metric.result()) == wanted == 0


def test_labels_that_are_no_class_do_not_count():
    """Without them: one hit, one prediction too many."""
    metric = F1Score()
    metric.update_state([-1, 1, 2, 0, 0], np.eye(2)[[1, 1, 1, 0, 1]])
    assert float(metric.result()) == pytest.approx(2 / 3)


@pytest.mark.parametrize("y_pred", [(4, 3), (4, 1), (4,)])
def test_a_class_that_is_not_scored_is_refused(y_pred):
    message = r"more than 3 classes, as class_id=3. Received: y_pred.shape=\(4"
    with pytest.raises(ValueError, match=message):
        F1Score(class_id=3).update_state(np.zeros(4), np.zeros(y_pred))


def test_a_negative_class_is_refused():
    with pytest.raises(ValueError, match="Received: class_id=-1"):
        F1Score(-1)
