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
    """Drops entries with probability `rate` and scales up the others.

    On JAX by hashes of the seed and the place, which fuse with what they drop:
    its own generator takes 9 times as long on a CPU, a tenth of a step.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.nn.experimental.stateless_dropout(
            inputs, rate=rate, seed=tf.cast(seed, "int32")
        )
    if backend == "torch":
        import torch

        generator = torch.Generator(device=inputs.device)
        generator.manual_seed(int(_key(seed)))
        kept = torch.rand(
            inputs.shape, generator=generator, device=inputs.device
        )
        return torch.where(kept >= rate, inputs / (1.0 - rate), 0.0)
    from jax import numpy as jnp

    least = jnp.uint32(min(round(rate * 2**32), 2**32 - 1))
    kept = _hashed_by_jax(inputs.shape, seed) >= least
    return jnp.where(kept, inputs / (1.0 - rate), 0)


def _hashed_by_jax(shape: tuple[int, ...], seed: Tensor) -> Tensor:
    """32 bits a place, by Wellons's `lowbias32`."""
    import jax
    from jax import numpy as jnp

    def mix(bits: Tensor) -> Tensor:
        bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
        bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
        return bits ^ (bits >> 16)

    places, stride = jnp.uint32(0), 1
    for axis in reversed(range(len(shape))):
        along = jax.lax.broadcasted_iota("uint32", shape, axis)
        places += along * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    seed = seed.astype("uint32")
    # Two keys: else seeds would give the same numbers at other places.
    first = mix(mix(seed[0]) + seed[1])
    second = mix(first + jnp.uint32(0x9E3779B9))
    return mix(mix(places + first) ^ second)


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
    bits = _mix(_key(seed) + places * _signed(0x9E3779B97F4A7C15))
    # As many as a float32 holds.
    numbers = _shifted(bits, 40).to(torch.float32) * 2.0**-24
    return numbers.reshape(shape)


def _key(seed: Tensor) -> Tensor:
    return _mix(_mix(seed[0].long()) + seed[1].long())


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
