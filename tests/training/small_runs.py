"""A training that takes a moment, and what stops it."""

import hashlib
import json

import keras
import numpy as np

from keras_convbert.compat import DataAdapter
from keras_convbert.training import BackupAndResume

STEPS, EPOCHS = 4, 4
# Steps are run faster than they are traced, and have the same bits.
EAGERLY = keras.backend.backend() == "tensorflow"


class Batches(DataAdapter):
    """Batches that are a function of epoch and index."""

    batch_size = 8
    num_batches = STEPS

    def __init__(self):
        self.epoch = self.start_batch = 0

    def get_numpy_iterator(self):
        epoch = self.epoch
        for index in range(self.start_batch, STEPS):
            if index == STEPS - 1:
                self.epoch, self.start_batch = epoch + 1, 0
            yield arrays(self.batch_size, seed=[epoch, index])

    get_jax_iterator = get_numpy_iterator

    def get_torch_dataloader(self):
        for batch in self.get_numpy_iterator():
            yield tuple(map(keras.ops.convert_to_tensor, batch))

    def get_tf_dataset(self):
        import tensorflow as tf

        specs = tuple(tf.TensorSpec((8, n), "float32") for n in (6, 1))
        return tf.data.Dataset.from_generator(
            self.get_numpy_iterator, output_signature=specs
        )


def arrays(rows=32, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6)).astype("float32")
    return x, np.tanh(x[:, :1] - x[:, 1:2])


def model(eagerly=EAGERLY, units=5):
    """Dropout, a metric with a state, an optimizer with slots."""
    keras.utils.set_random_seed(1)
    net = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(units, activation="relu", name="hidden"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, name="output"),
        ]
    )
    net.compile(
        keras.optimizers.Adam(0.01),
        loss="mse",
        metrics=["mae"],
        run_eagerly=eagerly,
    )
    return net


def callbacks():
    """Two with something to remember; first and last in the list."""
    return (
        keras.callbacks.EarlyStopping(
            "loss", patience=9, restore_best_weights=True
        ),
        keras.callbacks.ReduceLROnPlateau("loss", patience=0, factor=0.5),
    )


def train(folder=None, data=None, save_freq=2, net=None, extra=(), **options):
    """A training as one script does it, from its first line to its last."""
    net = net or model()
    first, last = callbacks()
    backup = [BackupAndResume(folder, save_freq)] if folder else []
    data = data or (Batches(),)
    options = {"epochs": EPOCHS, "verbose": 0, **options}
    net.fit(*data, callbacks=[first, *backup, last, *extra], **options)
    return net


def outcome(net):
    """The curve, and each variable of the model and its optimizer."""
    variables = [*net.variables, *net.optimizer.variables]
    return net.history.history, [
        np.array(keras.ops.convert_to_numpy(v)) for v in variables
    ]


def assert_same(found, wanted):
    assert found[0] == wanted[0]
    for one, other in zip(found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(one, other)


def digest(net):
    """`outcome` in a line."""
    history, variables = outcome(net)
    hashed = hashlib.sha256(json.dumps(history).encode())
    for array in variables:
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


class Stopped(Exception):
    pass


class Before(keras.callbacks.Callback):
    """Does something before one of the steps that it sees."""

    def __init__(self, step, action):
        super().__init__()
        # Not a number, which would be resumed too.
        self.steps = iter(range(10**6))
        self.step = step
        self.action = action

    def on_train_batch_begin(self, batch, logs=None):
        if next(self.steps) == self.step:
            self.action()


def crash():
    raise Stopped
