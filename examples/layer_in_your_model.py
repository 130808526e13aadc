"""MixedAttention and DynamicConv1D in a Keras model without text.

    python examples/layer_in_your_model.py [--backend jax]

The task is generated with a seed. At each position of a noisy signal, the model
outputs the value three steps earlier if the input is positive, else the value
three steps later. A fixed convolution cannot choose between the two. Attention
without position embeddings cannot distinguish positions. A kernel of size 3
does not reach far enough.

Expected after about a minute on two CPU cores: an error near 0.9 at kernel size
3, as for predicting the mean, and below 0.2 at kernel size 7.
"""

import argparse
import os
import pathlib
import tempfile

REACH = 3
LENGTH = 32
EPOCHS = 8

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", choices=["tensorflow", "jax", "torch"])
    BACKEND = parser.parse_args().backend
    if BACKEND:
        # Keras reads this once, when it is imported.
        os.environ["KERAS_BACKEND"] = BACKEND
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_convbert.layers import DynamicConv1D  # noqa: E402
from keras_convbert.layers import MixedAttention  # noqa: E402


def signals(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns signals and targets, each `(number, LENGTH, 1)`."""
    x = np.random.default_rng(seed).normal(size=(number, LENGTH, 1))
    before = np.roll(x, REACH, axis=1)
    after = np.roll(x, -REACH, axis=1)
    before[:, :REACH], after[:, -REACH:] = 0.0, 0.0
    y = np.where(x > 0, before, after)
    return x.astype("float32"), y.astype("float32")


def mixed_attention(kernel_size: int) -> keras.layers.Layer:
    return MixedAttention(num_heads=2, head_dim=16, kernel_size=kernel_size)


def dynamic_conv(kernel_size: int) -> keras.layers.Layer:
    return DynamicConv1D(kernel_size=kernel_size, num_heads=2)


def build(layer: keras.layers.Layer) -> keras.Model:
    inputs = keras.Input((None, 1))
    x = keras.layers.Dense(32, activation="gelu")(inputs)
    x = x + layer(x)
    outputs = keras.layers.Dense(1)(x)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.01), loss="mse")
    return model


def main() -> None:
    x, y = signals(2000, seed=0)
    unseen = signals(500, seed=1)
    errors = {}
    for make in (mixed_attention, dynamic_conv):
        for kernel_size in (3, 7):
            keras.utils.set_random_seed(0)
            model = build(make(kernel_size))
            model.fit(x, y, epochs=EPOCHS, batch_size=50, verbose=0)
            error = model.evaluate(*unseen, verbose=0)
            errors[make.__name__, kernel_size] = error
            print(f"{make.__name__:16} kernel size {kernel_size}: {error:.3f}")

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        again = keras.models.load_model(path)
    difference = np.abs(
        model.predict(unseen[0], verbose=0)
        - again.predict(unseen[0], verbose=0)
    ).max()
    print(f"largest difference after saving and loading: {difference:.1e}")
    for (name, kernel_size), error in errors.items():
        if (error < 0.2) != (kernel_size == 7):
            raise SystemExit(
                "Expected an error below 0.2 at kernel size 7 only. Received: "
                f"{error:.3f} for {name} at kernel size {kernel_size}"
            )


if __name__ == "__main__":
    main()
