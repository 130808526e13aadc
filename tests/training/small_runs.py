"""A training that takes a moment, and what stops it."""

import keras
import numpy as np

from keras_convbert.compat import DataAdapter


class Batches(DataAdapter):
    """Batches whose order is a function of epoch and index."""

    batch_size = 8

    def __init__(self, steps=4):
        self.epoch = self.start_batch = 0
        self.steps = steps
        self.given = []

    def batch(self, epoch, index):
        rng = np.random.default_rng([epoch, index])
        x = rng.normal(size=(self.batch_size, 6)).astype("float32")
        return x, np.tanh(x[:, :1] - x[:, 1:2])

    def get_numpy_iterator(self):
        epoch = self.epoch
        for index in range(self.start_batch, self.steps):
            if index == self.steps - 1:
                self.epoch, self.start_batch = epoch + 1, 0
            self.given.append((epoch, index))
            yield self.batch(epoch, index)

    get_jax_iterator = get_numpy_iterator

    def get_torch_dataloader(self):
        for batch in self.get_numpy_iterator():
            yield tuple(map(keras.ops.convert_to_tensor, batch))

    def get_tf_dataset(self):
        import tensorflow as tf

        specs = tuple(
            tf.TensorSpec((self.batch_size, width), "float32")
            for width in (6, 1)
        )
        return tf.data.Dataset.from_generator(
            self.get_numpy_iterator, output_signature=specs
        )

    @property
    def num_batches(self):
        return self.steps


def model():
    """Dropout, a metric with a state, and an optimizer with slots."""
    keras.utils.set_random_seed(1)
    net = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    net.compile(keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    return net


def arrays():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 6)).astype("float32")
    return x, np.tanh(x[:, :1] - x[:, 1:2])


class Stopped(Exception):
    pass


class StopAt(keras.callbacks.Callback):
    """Ends a training as a crash would, after so many steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_begin(self, batch, logs=None):
        if self.left == 0:
            raise Stopped
        self.left -= 1


class CountSteps(keras.callbacks.Callback):
    """How many steps were computed."""

    def __init__(self):
        super().__init__()
        self.steps = 0
        self.places = []

    def on_train_batch_end(self, batch, logs=None):
        object.__setattr__(self, "steps", self.steps + 1)
