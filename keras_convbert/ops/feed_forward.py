"""The feed-forward of a block, in parts, and its activation."""

from collections.abc import Callable

import keras
from keras import ops

from keras_convbert.types import Tensor

PARTS = 4
ELEMENTWISE = (
    keras.activations.gelu,
    keras.activations.relu,
    keras.activations.silu,
    keras.activations.tanh,
)


def num_partitions(
    hidden: int, dtype: str, activation: Callable[[Tensor], Tensor]
) -> int:
    """How many parts of the hidden features serve best.

    TensorFlow's product on a CPU loses up to half of its speed where the
    kernel is wide, and parts can run side by side:
    `benchmarks/results/feed_forward.json` and `serving_one_thread.json`.
    Elsewhere one product is as good.
    """
    if (
        keras.backend.backend() != "tensorflow"
        or dtype != "float32"
        or hidden % PARTS
        or activation not in ELEMENTWISE
    ):
        return 1
    import tensorflow as tf

    return 1 if tf.config.list_logical_devices("GPU") else PARTS


def activate(activation: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """`activation(inputs)`, with no more kept for the backward pass than these.

    JAX keeps three further arrays for GELU, an eighth of a training step's
    memory at length 512, which cost less to compute again; an activation with
    state could not be.
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
    parts: int,
) -> Tensor:
    """`activation(inputs W + b) V + c`, as a sum over parts of `W` and `V`.

    Args:
        inputs: Tensor of shape `(..., features)`.
        inner: `W`, of shape `(features, hidden)`, and `b`, `(hidden,)`.
        activation: a function of each element.
        outer: `V`, of shape `(hidden, units)`, and `c`, `(units,)`.
        parts: int. A divisor of `hidden`.

    Returns:
        Tensor of shape `(..., units)`.
    """
    outer_kernel, outer_bias = outer
    rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
    total = outer_bias
    for kernel, bias, kernel_after in zip(
        ops.split(inner[0], parts, axis=1),
        ops.split(inner[1], parts, axis=0),
        ops.split(outer_kernel, parts, axis=0),
        strict=True,
    ):
        hidden = activation(ops.matmul(rows, kernel) + bias)
        total = ops.matmul(hidden, kernel_after) + total
    return ops.reshape(total, (*ops.shape(inputs)[:-1], outer_kernel.shape[-1]))
