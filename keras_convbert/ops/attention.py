"""Scaled dot-product attention by the fastest kernel a backend has."""

import keras
from keras import ops

from keras_convbert.types import DType
from keras_convbert.types import Tensor


def supports_fused_dropout(query: Tensor, seeded: bool) -> bool:
    """Whether `fused_attention` is to drop probabilities.

    PyTorch's can, with noise of its global generator. On a CPU it keeps copies
    in float32 of what is half as wide.
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
    """Attention whose scores are never held.

    Args:
        query: Tensor of shape `(batch, length, heads, head_dim)`.
        key: Tensor of shape `(batch, source_length, heads, head_dim)`.
        value: Tensor of the shape of `key`.
        mask: boolean tensor that broadcasts to `(batch, heads, length,
            source_length)`, true where a position may be seen, or `None`.
        dropout: float. Share of the probabilities that is dropped, where
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
    if mask is not None and _asks_cudnn():
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
    """`fused_attention` by the kernel that PyTorch chooses.

    Keras's function cannot drop, and breaks a compiled graph where it is to
    choose the kernel.
    """
    import torch

    dtype = torch.promote_types(query.dtype, key.dtype)
    dtype = torch.promote_types(dtype, value.dtype)
    bias = None
    if mask is not None:
        # Finite: a query that sees nothing takes the mean, as elsewhere.
        hidden = torch.finfo(dtype).min / 2
        bias = torch.zeros_like(mask, dtype=dtype)
        bias = bias.masked_fill(~mask, hidden)
    outputs = torch.nn.functional.scaled_dot_product_attention(
        *(t.to(dtype).transpose(1, 2) for t in (query, key, value)),
        attn_mask=bias,
        dropout_p=dropout,
    )
    return outputs.transpose(1, 2).to(query.dtype)


def _asks_cudnn() -> bool:
    """Whether the kernel is cuDNN's, which wants a row of mask a query.

    Keras tries it first for JAX on a GPU; refused, it writes the error out and
    holds scores. Not measured.
    """
    return _platform_of_jax() == "gpu"


def _lacks_kernel(dtype: DType) -> bool:
    """Whether compiled attention is refused: by XLA, in float16 on a CPU."""
    return dtype == "float16" and _platform_of_jax() == "cpu"


def _platform_of_jax() -> str | None:
    if keras.backend.backend() != "jax":
        return None
    import jax

    return jax.default_backend()
