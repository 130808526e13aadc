"""Dropout whose noise is fixed by a seed drawn beforehand.

A function that is computed twice, as under gradient checkpointing, must meet
the same noise twice, and must not move a generator.
"""

import keras

from keras_convbert.types import Tensor


def draw_seed(generator: keras.random.SeedGenerator, seeded: bool) -> Tensor:
    """The next seed of `generator`, or `None` where there is no use for it.

    Unseeded layers draw from torch's global generator there, whose state
    `torch.utils.checkpoint` puts back by itself.
    """
    if keras.backend.backend() == "torch" and not seeded:
        return None
    return generator.next()


def stateless_dropout(inputs: Tensor, rate: float, seed: Tensor) -> Tensor:
    """Drops entries with probability `rate` and scales up the others."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.nn.experimental.stateless_dropout(
            inputs, rate=rate, seed=tf.cast(seed, "int32")
        )
    if backend == "torch":
        import torch

        generator = torch.Generator(device=inputs.device)
        generator.manual_seed(int(seed.sum()))
        kept = torch.rand(
            inputs.shape, generator=generator, device=inputs.device
        )
        return torch.where(kept >= rate, inputs / (1.0 - rate), 0.0)
    # On JAX a seed is an array that Keras takes as it is.
    return keras.random.dropout(inputs, rate, seed=seed)
