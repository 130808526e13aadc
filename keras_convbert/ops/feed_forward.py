"""The feed-forward of a block, in partitions, and its activation."""

from collections.abc import Callable

import keras
from keras import ops

from keras_convbert.types import Tensor

PARTITIONS = 4
ELEMENTWISE = (
    keras.activations.gelu,
    keras.activations.relu,
    keras.activations.silu,
    keras.activations.tanh,
)


def num_partitions(
    hidden: int, dtype: str, activation: Callable[[Tensor], Tensor]
) -> int:
    """The number of partitions of the hidden features that is the fastest.

    On a CPU the TensorFlow product loses up to half of its speed with a wide
    kernel, and partitions can run in parallel
    (`benchmarks/results/feed_forward.json`, `serving_one_thread.json`).
    Elsewhere one product is as fast.
    """
    if (
        keras.backend.backend() != "tensorflow"
        or dtype != "float32"
        or hidden % PARTITIONS
        or activation not in ELEMENTWISE
    ):
        return 1
    import tensorflow as tf

    return 1 if tf.config.list_logical_devices("GPU") else PARTITIONS


def activate(activation: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Computes `activation(inputs)` and keeps only `inputs` for the gradient.

    For GELU, JAX would keep three more arrays, an eighth of the memory of a
    training step at length 512; computing them again is cheap. An activation
    with state cannot be computed again, so only known ones are.
    """
    if keras.backend.backend() != "jax" or activation not in ELEMENTWISE:
        return activation(inputs)
    import jax

    return jax.checkpoint(activation)(inputs)


def feed_forward(
    inputs: Tensor,
    inner: tuple[Tensor, Tensor],
    activation: Callable[[Tensor], Tensor],
    outer: tuple[Tensor, Tensor],
    partitions: int,
) -> Tensor:
    """Computes `activation(inputs W + b) V + c` as a sum over partitions.

    The columns of `W` and the rows of `V` are split alike.

    Args:
        inputs: Tensor of shape `(..., features)`.
        inner: `W`, of shape `(features, hidden)`, and `b`, `(hidden,)`.
        activation: elementwise function.
        outer: `V`, of shape `(hidden, units)`, and `c`, `(units,)`.
        partitions: int. A divisor of `hidden`.

    Returns:
        Tensor of shape `(..., units)`.
    """
    outer_kernel, outer_bias = outer
    rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
    total = outer_bias
    for inner_kernel, inner_bias, outer_part in zip(
        ops.split(inner[0], partitions, axis=1),
        ops.split(inner[1], partitions, axis=0),
        ops.split(outer_kernel, partitions, axis=0),
        strict=True,
    ):
        hidden = activation(ops.matmul(rows, inner_kernel) + inner_bias)
        total = ops.matmul(hidden, outer_part) + total
    return ops.reshape(total, (*ops.shape(inputs)[:-1], outer_kernel.shape[-1]))
