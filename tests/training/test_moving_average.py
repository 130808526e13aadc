"""`AdamW(use_ema=True)`: the averages become the weights, in each order."""

import keras
import numpy as np
import pytest

from keras_convbert.training import AdamW
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.training import small_runs
from tests.training.small_runs import Before
from tests.training.small_runs import Stopped
from tests.training.small_runs import crash

MOMENTUM = 0.75
X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = X[:, :1] * 2


def compiled():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(AdamW(0.1, use_ema=True, ema_momentum=MOMENTUM), "mse")
    return model


class Averages(keras.callbacks.Callback):
    """The averages of the weights after each step, in NumPy."""

    def __init__(self):
        super().__init__()
        self.values = None

    def on_train_batch_end(self, batch, logs=None):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        weights = self.model.get_weights()
        if self.values is None:
            self.values = weights
        self.values = [
            MOMENTUM * old + (1 - MOMENTUM) * new
            for old, new in zip(self.values, weights, strict=True)
        ]


def fit(model, **options):
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, **options)


def assert_weights(model, wanted):
    for found, value in zip(model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(found, value, atol=1e-6)


USES = {
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "predict": lambda model: model.predict(X, verbose=0),
    "predict_on_batch": lambda model: model.predict_on_batch(X),
    "test_on_batch": lambda model: model.test_on_batch(X, Y),
}


def test_averages_are_used_saved_and_trained_on(tmp_path):
    model, averages = compiled(), Averages()
    for _ in range(2):
        fit(model, epochs=2, callbacks=[averages])
        assert_weights(model, averages.values)
        for use in USES.values():
            use(model)
        assert_weights(model, averages.values)
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert_weights(loaded, averages.values)
        fit(model, callbacks=[averages])
        fit(loaded)
        assert_weights(loaded, model.get_weights())
        model = loaded


@pytest.mark.parametrize("overwrite", [None, 3])
def test_a_resumed_training_has_the_bits_of_a_whole_one(overwrite, tmp_path):
    def net():
        model = small_runs.model()
        optimizer = AdamW(use_ema=True, ema_overwrite_frequency=overwrite)
        model.compile(optimizer, "mse", run_eagerly=small_runs.EAGERLY)
        return model

    wanted = small_runs.outcome(small_runs.train(net=net()))
    with pytest.raises(Stopped):
        small_runs.train(tmp_path, net=net(), extra=[Before(9, crash)])
    resumed = small_runs.train(tmp_path, net=net())
    resumed.predict(small_runs.arrays()[0], verbose=0)
    small_runs.assert_same(small_runs.outcome(resumed), wanted)


@pytest.mark.one_backend("jax")
def test_a_task_is_saved_after_its_predictions(tmp_path):
    task = tasks.classifier()
    task.compile(AdamW(0.01, use_ema=True))
    task.fit(texts.letters(4), [0, 1, 2, 0], verbose=0)
    wanted = task.predict_labels(["a b"], return_probabilities=True)[1]
    task.save(tmp_path / "task.keras")
    task.save_to_preset(tmp_path / "preset")
    for loaded in (
        keras.saving.load_model(tmp_path / "task.keras"),
        type(task).from_preset(tmp_path / "preset"),
    ):
        found = loaded.predict_labels(["a b"], return_probabilities=True)[1]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    task.fit(texts.letters(4), [0, 1, 2, 0], verbose=0)
