"""Random numbers that are a function of a seed that is drawn beforehand.

A function that is computed twice, as under gradient checkpointing, must get
the same noise twice and must not advance a generator.
"""

import math
from typing import Any

import keras

from keras_convbert.types import Tensor


def draw_seed(generator: keras.random.SeedGenerator, seeded: bool) -> Tensor:
    """Draws the next seed of `generator`, or returns `None` if none is needed.

    Unseeded layers on torch draw from the global generator, whose state
    `torch.utils.checkpoint` restores.
    """
    if keras.backend.backend() == "torch" and not seeded:
        return None
    return generator.next()


def stateless_dropout(inputs: Tensor, rate: float, seed: Tensor) -> Tensor:
    """Drops entries with probability `rate` and scales up the others.

    On JAX the noise is a hash of seed and position, which XLA fuses with the
    dropout. The JAX generator takes 9 times as long on a CPU, a tenth of a
    training step.
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
    """Hashes seed and position to 32 bits, with the `lowbias32` of Wellons."""
    import jax
    from jax import numpy as jnp

    def mix(bits: Tensor) -> Tensor:
        bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
        bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
        return bits ^ (bits >> 16)

    positions, stride = jnp.uint32(0), 1
    for axis in reversed(range(len(shape))):
        along = jax.lax.broadcasted_iota("uint32", shape, axis)
        positions += along * jnp.uint32(stride % 2**32)
        stride *= shape[axis]
    seed = seed.astype("uint32")
    # With one key, other seeds would repeat the numbers at other positions.
    first = mix(mix(seed[0]) + seed[1])
    second = mix(first + jnp.uint32(0x9E3779B9))
    return mix(mix(positions + first) ^ second)


def uniform(
    shape: tuple[Any, ...], seed: int | keras.random.SeedGenerator
) -> Tensor:
    """Draws numbers in [0, 1), as `keras.random.uniform` does.

    On torch Keras creates a generator from a seed that it fetches from the
    device, which no compiler can trace. There the numbers are hashes of seed
    and position (SplitMix64).
    """
    if keras.backend.backend() != "torch":
        return keras.random.uniform(shape, dtype="float32", seed=seed)
    if isinstance(seed, int):
        seed = keras.ops.convert_to_tensor([seed, 0], dtype="int64")
    else:
        seed = _next_seed(seed)
    return _hashed(shape, seed)


def _next_seed(generator: keras.random.SeedGenerator) -> Tensor:
    """`generator.next()`, whose NumPy array a compiler cannot trace."""
    state = generator.state
    seed = state.value.clone()
    state.assign(seed + keras.ops.arange(2, dtype=seed.dtype))
    return seed


def _hashed(shape: tuple[Any, ...], seed: Tensor) -> Tensor:
    import torch

    positions = torch.arange(math.prod(shape), device=seed.device)
    bits = _mix(_key(seed) + positions * _signed(0x9E3779B97F4A7C15))
    # 24 bits: as many as the mantissa of a float32 has.
    numbers = _shifted(bits, 40).to(torch.float32) * 2.0**-24
    return numbers.reshape(shape)


def _key(seed: Tensor) -> Tensor:
    return _mix(_mix(seed[0].long()) + seed[1].long())


def _mix(bits: Tensor) -> Tensor:
    """The SplitMix64 finalizer: each input bit flips half of the outputs."""
    bits = (bits ^ _shifted(bits, 30)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ _shifted(bits, 27)) * _signed(0x94D049BB133111EB)
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Shifts right and fills with zeros; int64 alone would fill its sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    """The int64 with the bits of an unsigned 64-bit number."""
    return number - (1 << 64)
