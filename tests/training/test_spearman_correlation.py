import numpy as np
import pytest
from scipy.stats import spearmanr

from keras_convbert.training import SpearmanCorrelation
from tests.training.metric_values import value_after
from tests.training.test_pearson_correlation import pairs


@pytest.mark.parametrize(
    ("digits", "room"), [(0, 1000), (1, 1000), (6, 1500)], ids=str
)
def test_equals_scipy(digits, room):
    """Of 0 digits some 7 numbers are left, and almost all samples tie."""
    labels, scores, _ = pairs()
    labels, scores = labels.round(digits), scores.round(digits)
    wanted = spearmanr(labels, scores).statistic
    assert 0.4 < wanted < 0.7
    metric = SpearmanCorrelation(room)
    for _ in range(2):
        found = value_after(metric, labels, scores)
        assert found == pytest.approx(wanted, abs=1e-5)
        metric.reset_state()
    assert float(metric.result()) == 0


def test_samples_of_weight_0_are_left_out_and_take_no_room():
    labels, scores, weights = pairs()
    weights[:7] = 0
    scores[0] = np.nan
    kept = weights != 0
    assert 0 < kept.sum() < len(kept) - 100
    wanted = spearmanr(labels[kept], scores[kept]).statistic
    metric = SpearmanCorrelation(int(kept.sum()))
    found = value_after(metric, labels, scores, weights)
    assert found == pytest.approx(wanted, abs=1e-5)


def test_infinite_scores_rank_first_and_last():
    scores = np.array([np.inf, 1, -np.inf, 2, np.inf, 0], "float32")
    labels = np.array([5, 3, 0, 4, 6, 1], "float32")
    metric = SpearmanCorrelation(7)
    metric.update_state(labels, scores)
    wanted = spearmanr(labels, scores).statistic
    assert float(metric.result()) == pytest.approx(wanted)


def test_the_room_may_be_filled_but_not_overfilled():
    metric = SpearmanCorrelation(7)
    metric.update_state(np.arange(6), -np.arange(6))
    metric.update_state([6], [-6])
    assert float(metric.result()) == pytest.approx(-1)
    metric.update_state([7], [-7])
    assert np.isnan(float(metric.result()))
    metric.reset_state()
    metric.update_state(np.arange(6), np.arange(6))
    assert float(metric.result()) == pytest.approx(1)


def test_one_batch_may_overfill_it():
    metric = SpearmanCorrelation(7)
    metric.update_state(np.arange(9), np.arange(9))
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize("size", [1, 6])
def test_undefined_is_0(size):
    metric = SpearmanCorrelation(7)
    metric.update_state(np.full(size, 0.1), np.arange(size))
    assert float(metric.result()) == 0


def test_nan_is_not_hidden():
    metric = SpearmanCorrelation(7)
    metric.update_state(np.arange(6), [1.0, np.nan, 2.0, 3.0, 4.0, 5.0])
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize("room", [1, 2**24])
def test_wrong_room_is_refused(room):
    with pytest.raises(ValueError, match=f"Received: max_samples={room}"):
        SpearmanCorrelation(room)


def test_wrong_shapes_are_refused():
    message = r"`y_pred`.*Received: y_pred.shape=\(4, 2\)"
    with pytest.raises(ValueError, match=message):
        SpearmanCorrelation().update_state(np.ones(4), np.ones((4, 2)))
