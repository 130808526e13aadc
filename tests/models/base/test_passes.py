"""Each pass over samples in memory takes every sample once, in a new order.

With `steps_per_epoch` a pass is not an epoch of `fit`.
"""

import contextlib

import keras
import numpy as np
import pytest

from keras_convbert.models.base.in_memory_dataset import InMemoryAdapter
from keras_convbert.models.base.in_memory_dataset import InMemoryDataset
from keras_convbert.training import BackupAndResume
from tests.training.small_runs import Before
from tests.training.small_runs import Stopped
from tests.training.small_runs import assert_same
from tests.training.small_runs import crash
from tests.training.small_runs import outcome

ROWS, SIZE = 10, 2
EAGERLY = keras.backend.backend() == "tensorflow"
pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")


def data(shuffle=True):
    """Samples 0 to 9; the noise is a function of the pass and the index."""
    noise = {}

    @contextlib.contextmanager
    def draw(epoch, index):
        noise["value"] = np.random.default_rng([epoch, index]).normal()
        yield

    def preprocess(x, y, weight):
        shift = np.full_like(x, noise["value"], dtype="float32")
        return np.stack([x, shift], -1).astype("float32"), y

    x = np.arange(ROWS)
    samples = (x, x[:, None] / ROWS, None)
    return InMemoryAdapter(
        InMemoryDataset(samples, SIZE, preprocess, shuffle, draw)
    )


def model(per_execution=1):
    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    net.compile(
        keras.optimizers.SGD(0.01),
        loss="mse",
        # It is a sum over what a step has seen.
        metrics=["mae"],
        steps_per_execution=per_execution,
        run_eagerly=EAGERLY,
    )
    return net


def train(steps, epochs, per_execution=1, folder=None, stop=None, **options):
    callbacks = [BackupAndResume(folder, 1)] if folder else []
    if stop is not None:
        callbacks.append(Before(stop, crash))
    net = model(per_execution)
    net.fit(
        data(),
        steps_per_epoch=steps,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
        **options,
    )
    return net


def seen(steps, epochs):
    """The samples of each step. Keras ends an epoch where a pass ends."""
    net = model()
    net.compile(loss="mse", run_eagerly=True)
    rows = []
    step = net.train_step

    def spy(batch):
        samples = keras.ops.convert_to_numpy(batch[0])[:, 0]
        rows.append(samples.tolist())
        return step(batch)

    net.train_step = spy
    adapter = data()
    net.fit(
        adapter, steps_per_epoch=steps, epochs=epochs, verbose=0, shuffle=False
    )
    return [int(sample) for row in rows for sample in row]


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="JAX traces a step once"
)
@pytest.mark.parametrize(
    ("steps", "epochs"), [(None, 3), (1, 15), (2, 9), (3, 6), (5, 3), (7, 3)]
)
def test_each_pass_takes_every_sample_once(steps, epochs):
    rows = seen(steps, epochs)
    passes = [rows[first : first + ROWS] for first in range(0, 30, ROWS)]
    for one in passes:
        assert sorted(one) == [*range(ROWS)]
    assert passes[0] != passes[1] != passes[2]


# Keras has no `steps_per_execution` on PyTorch.
SEVERAL = [] if keras.backend.backend() == "torch" else [(3, 2), (None, 2)]


@pytest.mark.parametrize(
    ("steps", "per_execution"), [(2, 1), (3, 1), (7, 1), *SEVERAL]
)
def test_training_resumes_within_passes_and_epochs(
    steps, per_execution, tmp_path
):
    epochs = 4
    options = {"validation_data": data(False), "validation_steps": 2}
    wanted = outcome(train(steps, epochs, per_execution, **options))
    stop = 0
    while True:
        stop += 1
        folder = tmp_path / str(stop)
        options = {"validation_data": data(False), "validation_steps": 2}
        try:
            train(steps, epochs, per_execution, folder, stop, **options)
        except Stopped:
            options = {"validation_data": data(False), "validation_steps": 2}
            net = train(steps, epochs, per_execution, folder, **options)
            assert_same(outcome(net), wanted)
        else:
            break
    assert stop > epochs
