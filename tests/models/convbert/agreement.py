"""What one backend makes of a saved model: run as a program, or called.

KERAS_BACKEND=jax python -m tests.models.convbert.agreement MODEL OUTPUT
"""

import os
import sys

if os.environ.get("KERAS_BACKEND") == "torch":
    import torch  # noqa: F401  (imported after TensorFlow it may crash)

import keras
import numpy as np

from keras_convbert.training import AdamW
from tests.models.convbert import tiny

INPUTS = tiny.sequences(rows=8, length=16)
LABELS = np.arange(8) % 3


def measure(path):
    """Outputs, weights after a step of SGD, losses of five of `AdamW`."""
    model = keras.saving.load_model(path)
    found = {"outputs": model.predict(INPUTS, verbose=0)}
    train(model, keras.optimizers.SGD(0.1), steps=1)
    for weight in model.weights:
        found[f"weights/{weight.path}"] = np.asarray(weight.numpy())
    model = keras.saving.load_model(path)
    found["losses"] = np.array(train(model, AdamW(), steps=5))
    return found


def train(model, optimizer, steps):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    history = model.fit(
        INPUTS, LABELS, batch_size=len(LABELS), epochs=steps, verbose=0
    )
    return history.history["loss"]


if __name__ == "__main__":
    np.savez(sys.argv[2], **measure(sys.argv[1]))
