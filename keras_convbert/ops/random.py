"""Random numbers that are fixed by a seed drawn beforehand.

A function that is computed twice, as under gradient checkpointing, must meet
the same noise twice, and must not move a generator.
"""

import math
from typing import Any

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


def uniform(
    shape: tuple[Any, ...], seed: int | keras.random.SeedGenerator
) -> Tensor:
    """Numbers in [0, 1), as of `keras.random.uniform`.

    On torch Keras makes a generator of a seed that it fetches from the device,
    and no compiler follows that. So there the numbers are hashes of the seed
    and their place (SplitMix64).
    """
    if keras.backend.backend() != "torch":
        return keras.random.uniform(shape, seed=seed)
    if isinstance(seed, int):
        seed = keras.ops.convert_to_tensor([seed, 0], dtype="int64")
    else:
        seed = _drawn(seed)
    return _hashed(shape, seed)


def _drawn(generator: keras.random.SeedGenerator) -> Tensor:
    """As `generator.next()`, which holds a NumPy array, and so no compiler."""
    state = generator.state
    seed = state.value.clone()
    state.assign(seed + keras.ops.arange(2, dtype=seed.dtype))
    return seed


def _hashed(shape: tuple[Any, ...], seed: Tensor) -> Tensor:
    import torch

    places = torch.arange(math.prod(shape), device=seed.device)
    key = _mix(_mix(seed[0].long()) + seed[1].long())
    bits = _mix(key + places * _signed(0x9E3779B97F4A7C15))
    # As many as a float32 holds.
    numbers = _shifted(bits, 40).to(torch.float32) * 2.0**-24
    return numbers.reshape(shape)


def _mix(bits: Tensor) -> Tensor:
    """SplitMix64's finalizer: each bit of the input turns half of the bits."""
    bits = (bits ^ _shifted(bits, 30)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ _shifted(bits, 27)) * _signed(0x94D049BB133111EB)
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """To the right, with zeros from the left: int64 would bring its sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    return number - (1 << 64)
