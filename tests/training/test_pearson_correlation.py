import numpy as np
import pytest
from scipy.stats import pearsonr

from keras_convbert.training import PearsonCorrelation
from tests.training.metric_values import value_after


def pairs(size=1000, offset=0.0, seed=0):
    """Numbers of spread 1 whose correlation is about 0.6, and weights."""
    rng = np.random.default_rng(seed)
    labels = rng.normal(size=size)
    scores = 0.6 * labels + 0.8 * rng.normal(size=size)
    weights = rng.integers(4, size=size) * rng.random(size)
    return [
        array.astype("float32")
        for array in (labels + offset, scores - offset, weights)
    ]


@pytest.mark.parametrize("offset", [0, 1, 1e4, -1e5])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["flat", "column"])
def test_equals_scipy(shape, offset):
    labels, scores, _ = pairs(offset=offset)
    wanted = pearsonr(labels.astype("float64"), scores.astype("float64"))[0]
    assert 0.5 < wanted < 0.7
    metric = PearsonCorrelation()
    for _ in range(2):
        found = value_after(
            metric, labels.reshape(shape), scores.reshape(shape)
        )
        assert found == pytest.approx(wanted, abs=1e-5)
        metric.reset_state()
    assert float(metric.result()) == 0


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_many_batches_of_few_far_from_zero(order):
    labels, scores, _ = pairs(1600, offset=1e4)
    if order == "sorted":
        places = labels.argsort()
        labels, scores = labels[places], scores[places]
    wanted = pearsonr(labels.astype("float64"), scores.astype("float64"))[0]
    metric = PearsonCorrelation()
    for start in range(0, 1600, 16):
        batch = slice(start, start + 16)
        metric.update_state(labels[batch], scores[batch])
    assert float(metric.result()) == pytest.approx(wanted, abs=1e-5)


def test_batches_far_from_the_first():
    labels, scores, _ = pairs()
    labels[7:] += 1e6
    scores[7:] += 1e6
    wanted = pearsonr(labels.astype("float64"), scores.astype("float64"))[0]
    found = value_after(PearsonCorrelation(), labels, scores)
    assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("offset", [0, 1e4])
def test_weights(offset):
    labels, scores, weights = pairs(offset=offset)
    weights[:7] = 0
    labels[0] = np.inf
    kept = weights > 0
    covariance = np.cov(
        labels[kept].astype("float64"),
        scores[kept].astype("float64"),
        aweights=weights[kept],
    )
    wanted = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    found = value_after(PearsonCorrelation(), labels, scores, weights)
    assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("number", [0.0, 0.1, 12345.678])
def test_numbers_that_are_all_the_same_give_0(number):
    labels, scores, weights = pairs(size=100)
    scores[:] = number
    weights[0] = 0
    scores[weights == 0] = 7.0
    for y_true, y_pred in ((labels, scores), (scores, labels)):
        metric = PearsonCorrelation()
        assert value_after(metric, y_true, y_pred, weights) == 0


def test_one_sample_gives_0_and_two_give_1():
    metric = PearsonCorrelation()
    metric.update_state([3.0], [5.0])
    assert float(metric.result()) == 0
    metric.update_state([4.0], [9.0])
    assert float(metric.result()) == pytest.approx(1)


def test_nan_is_not_hidden():
    metric = PearsonCorrelation()
    metric.update_state([1.0, 2.0, 3.0], [1.0, np.nan, 2.0])
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ((4,), (4, 2), r"`y_pred`.*Received: y_pred.shape=\(4, 2\)"),
        ((), (4,), r"`y_true`.*Received: y_true.shape=\(\)"),
        ((4,), (5, 1), "y_true of 4, y_pred of 5"),
    ],
)
def test_wrong_shapes_are_refused(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        PearsonCorrelation().update_state(np.ones(y_true), np.ones(y_pred))
