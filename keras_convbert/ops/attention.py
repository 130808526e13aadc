"""Scaled dot-product attention by the fastest kernel a backend has."""

import keras
from keras import ops

from keras_convbert.types import DType
from keras_convbert.types import Tensor


def drops_without_scores(query: Tensor, seeded: bool) -> bool:
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
            `drops_without_scores`. Defaults to `0.0`.

    Returns:
        Tensor of the shape of `query`.
    """
    if dropout:
        import torch

        outputs = torch.nn.functional.scaled_dot_product_attention(
            *(t.transpose(1, 2) for t in (query, key, value)),
            attn_mask=mask,
            dropout_p=dropout,
        )
        return outputs.transpose(1, 2)
    dtype = query.dtype
    if _lacks_kernel(dtype):
        query, key, value = (
            ops.cast(t, "float32") for t in (query, key, value)
        )
    # Asked to choose, Keras's torch backend probes for flash attention in
    # Python and breaks the compiled graph; torch itself chooses all the same.
    probe = False if keras.backend.backend() == "torch" else None
    outputs = ops.dot_product_attention(
        query, key, value, mask=mask, flash_attention=probe
    )
    return ops.cast(outputs, dtype)


def _lacks_kernel(dtype: DType) -> bool:
    """Whether compiled attention is refused: by XLA, in float16 on a CPU."""
    if keras.backend.backend() != "jax" or dtype != "float16":
        return False
    import jax

    return jax.default_backend() == "cpu"
