import keras
import pytest

from keras_convbert.training import AdamW
from keras_convbert.training import WarmupLinearDecay


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        # 0.5 * step / 10 * (1 - step / 100), then without the first factor.
        ({"warmup_steps": 10, "total_steps": 100}, [0, 0.2375, 0.45, 0.25, 0]),
        ({"warmup_steps": 0, "total_steps": 100}, [0.5, 0.475, 0.45, 0.25, 0]),
        ({"warmup_steps": 10}, [0, 0.25, 0.5, 0.5, 0.5]),
    ],
    ids=["both", "fall", "rise"],
)
def test_rates_worked_by_hand(options, rates):
    schedule = WarmupLinearDecay(0.5, **options)
    found = [float(schedule(step)) for step in (0, 5, 10, 50, 120)]
    assert found == pytest.approx(rates, rel=1e-6)


def test_an_optimizer_follows_it():
    optimizer = AdamW(WarmupLinearDecay(1.0, 4, 8))
    assert float(optimizer.learning_rate) == 0.0
    optimizer.iterations.assign(2)
    assert float(optimizer.learning_rate) == pytest.approx(0.5 * 0.75)


@pytest.mark.parametrize("total_steps", [None, 9])
def test_config_survives(total_steps):
    schedule = WarmupLinearDecay(0.3, 4, total_steps)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(schedule)
    )
    assert type(again) is WarmupLinearDecay
    assert again.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((-0.1, 1), "at least 0. Received: learning_rate=-0.1"),
        ((0.1, -1), "Received: warmup_steps=-1, total_steps=None"),
        ((0.1, 10, 10), "Received: warmup_steps=10, total_steps=10"),
    ],
    ids=["rate", "rise", "whole"],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WarmupLinearDecay(*options)
