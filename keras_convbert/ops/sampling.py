"""Sampling of a categorical distribution with one random number per row."""

import math

from keras import ops

from keras_convbert.ops.precision import float32_or_wider
from keras_convbert.ops.sizes import largest
from keras_convbert.types import Tensor

BLOCK = 256


def sample_categorical(logits: Tensor, uniform: Tensor) -> Tensor:
    """Samples a class per row by inverting the cumulative distribution.

    The first step finds a block of `BLOCK` classes, the second the class in
    it. So no sum runs over a whole vocabulary (30,000 terms in float32), and
    one random number per row is enough.

    Args:
        logits: Tensor of shape `(..., classes)`.
        uniform: Tensor of shape `(...)`, uniform in [0, 1).

    Returns:
        Integer tensor of the shape of `uniform`.
    """
    classes = logits.shape[-1]
    shape = ops.shape(uniform)
    dtype = float32_or_wider(logits.dtype)
    logits = ops.cast(ops.reshape(logits, (-1, classes)), dtype)  # (M, V)
    weights = ops.exp(logits - largest(logits, -1, -math.inf)[:, None])
    blocks = -(-classes // BLOCK)
    filler = ops.zeros_like(weights[:, :1])
    filler = ops.repeat(filler, blocks * BLOCK - classes, axis=1)
    weights = ops.concatenate([weights, filler], axis=1)
    weights = ops.reshape(weights, (-1, blocks, BLOCK))  # (M, blocks, BLOCK)

    until = ops.cumsum(ops.sum(weights, axis=-1), axis=-1)  # (M, blocks)
    target = ops.reshape(ops.cast(uniform, dtype), (-1, 1))
    target = target * until[:, -1:]  # (M, 1)
    block = ops.sum(ops.cast(until <= target, "int32"), axis=-1)  # (M,)
    block = ops.minimum(block, blocks - 1)
    chosen = ops.one_hot(block, blocks, dtype=dtype)  # (M, blocks)
    inside = ops.einsum("mbk,mb->mk", weights, chosen)  # (M, BLOCK)
    before = ops.cast(ops.cumsum(chosen, axis=-1) <= 0, dtype)
    before = before * ops.sum(weights, axis=-1)  # (M, blocks)
    before = ops.sum(before, axis=-1, keepdims=True)  # (M, 1)
    reached = before + ops.cumsum(inside, axis=-1) <= target
    offset = ops.sum(ops.cast(reached, "int32"), axis=-1)  # (M,)
    found = block * BLOCK + ops.minimum(offset, BLOCK - 1)
    return ops.reshape(ops.minimum(found, classes - 1), shape)
