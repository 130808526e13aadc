"""Scaled dot-product attention with the fastest kernel of the backend."""

import keras
from keras import ops

from keras_convbert.types import DType
from keras_convbert.types import Tensor


def supports_fused_dropout(query: Tensor, seeded: bool) -> bool:
    """Whether to drop probabilities inside `fused_attention`.

    The PyTorch kernel can, with noise of the global generator. On a CPU it
    would keep float32 copies of half-precision tensors.
    """
    if keras.backend.backend() != "torch" or seeded:
        return False
    import torch

    return query.device.type != "cpu" or query.dtype == torch.float32


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float = 0.0,
) -> Tensor:
    """Computes attention without keeping the scores.

    Per sample and head, with R features (`head_dim`), it is
    `softmax(Q K^T / sqrt(R) + M) V`, where `M` is 0 where the mask is true,
    and a large negative number elsewhere. A query without any true key
    attends to all keys alike.

    Args:
        query: Tensor of shape `(batch, length, heads, head_dim)`.
        key: Tensor of shape `(batch, source_length, heads, head_dim)`.
        value: Tensor of the shape of `key`.
        mask: boolean tensor that broadcasts to `(batch, heads, length,
            source_length)`, true where a query may attend to a key, or
            `None` for everywhere.
        dropout: float. Probability to drop an attention probability; needs
            `supports_fused_dropout`. Defaults to `0.0`.

    Returns:
        Tensor of the shape of `query`.
    """
    if keras.backend.backend() == "torch":
        return _fused_by_torch(query, key, value, mask, dropout)
    dtype = query.dtype
    if _lacks_kernel(dtype):
        query, key, value = (
            ops.cast(t, "float32") for t in (query, key, value)
        )
    if mask is not None and _tries_cudnn():
        rows, heads, _, sources = ops.shape(mask)
        shape = (rows, heads, ops.shape(query)[1], sources)
        mask = ops.broadcast_to(mask, shape)
    outputs = ops.dot_product_attention(query, key, value, mask=mask)
    return ops.cast(outputs, dtype)


def _fused_by_torch(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float,
) -> Tensor:
    """`fused_attention` with the kernel that PyTorch chooses.

    The Keras function has no dropout, and its choice of a kernel breaks a
    compiled graph.
    """
    import torch

    dtype = torch.promote_types(query.dtype, key.dtype)
    dtype = torch.promote_types(dtype, value.dtype)
    bias = None
    if mask is not None:
        # Finite, so that a query without any key takes the mean, as in Keras.
        masked = torch.finfo(dtype).min / 2
        bias = torch.zeros_like(mask, dtype=dtype)
        bias = bias.masked_fill(~mask, masked)
    outputs = torch.nn.functional.scaled_dot_product_attention(
        *(t.to(dtype).transpose(1, 2) for t in (query, key, value)),
        attn_mask=bias,
        dropout_p=dropout,
    )
    return outputs.transpose(1, 2).to(query.dtype)


def _tries_cudnn() -> bool:
    """Whether Keras tries cuDNN, whose mask needs one row per query.

    Keras does for JAX on a GPU. If cuDNN refuses the mask, Keras prints the
    error and computes all scores. Not measured.
    """
    return _jax_platform() == "gpu"


def _lacks_kernel(dtype: DType) -> bool:
    """Whether XLA cannot compile attention: in float16 on a CPU."""
    return dtype == "float16" and _jax_platform() == "cpu"


def _jax_platform() -> str | None:
    """The platform that JAX runs on, `None` on another backend."""
    if keras.backend.backend() != "jax":
        return None
    import jax

    return jax.default_backend()
