"""The feed-forward block in a TensorFlow graph, split into 1, 2 or 4 parts.

    python benchmarks/feed_forward.py

Measures inference, and forward with backward, for the sizes of ConvBERT on a
CPU. Arms take turns. Writes `results/feed_forward.json`. Takes two minutes.
"""

import argparse
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = pathlib.Path(__file__).parent

import keras  # noqa: E402
import machine  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from keras_convbert.ops.feed_forward import feed_forward  # noqa: E402

PARTS = (1, 2, 4)
# Features, batch, length.
SIZES = ((256, 1, 128), (256, 32, 128), (768, 4, 128), (768, 4, 512))
LAYERS = 4


def arms(
    features: int, batch: int, length: int
) -> dict[str, Callable[[], Any]]:
    rng = np.random.default_rng(0)

    def variable(*shape: int) -> tf.Variable:
        return tf.Variable(0.02 * rng.standard_normal(shape).astype("float32"))

    hidden = 4 * features
    weights = [
        (
            (variable(features, hidden), variable(hidden)),
            (variable(hidden, features), variable(features)),
        )
        for _ in range(LAYERS)
    ]
    inputs = tf.random.stateless_normal((batch, length, features), (0, 0))
    flat = tf.nest.flatten(weights)

    def forward(parts: int) -> tf.Tensor:
        x = inputs
        for inner, outer in weights:
            x = feed_forward(x, inner, keras.activations.gelu, outer, parts)
        return tf.reduce_sum(x)

    def backward(parts: int) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = forward(parts)
        return [tf.reduce_sum(g) for g in tape.gradient(loss, flat)]

    found = {}
    for parts in PARTS:
        for name, run in (("forward", forward), ("backward", backward)):
            found[f"{name}, {parts}"] = tf.function(
                lambda run=run, parts=parts: run(parts), autograph=False
            ).get_concrete_function()
    return found


def times_of(functions: dict[str, Callable[[], Any]], rounds: int) -> Any:
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + 2):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if number >= 2:
                times[name].append(1000 * (time.perf_counter() - start))
    return {
        name: [round(float(q), 2) for q in np.percentile(values, (25, 50, 75))]
        for name, values in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--output", default=str(HERE / "results"))
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": machine.describe()}
    for size in SIZES:
        name = "features {}, batch {}, length {}".format(*size)
        results[name] = times_of(arms(*size), options.rounds)
        print(name, json.dumps(results[name]), flush=True)
    target = pathlib.Path(options.output) / "feed_forward.json"
    target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
