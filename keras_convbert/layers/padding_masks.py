"""Masks of padded positions and of pairs of positions."""

from keras import ops

from keras_convbert.compat import get_keras_mask
from keras_convbert.types import Tensor


def resolve_padding_mask(
    inputs: Tensor, padding_mask: Tensor | None
) -> Tensor | None:
    """Returns `padding_mask`, or else the Keras mask of `inputs`.

    Raises:
        ValueError: if the mask is not of shape `(batch, length)`.
    """
    if padding_mask is None:
        padding_mask = get_keras_mask(inputs)
    if padding_mask is not None and len(padding_mask.shape) != 2:
        raise ValueError(
            "Expected `padding_mask` of shape (batch, length). Received: "
            f"padding_mask.shape={tuple(padding_mask.shape)}"
        )
    return padding_mask


def zero_masked(inputs: Tensor, padding_mask: Tensor | None) -> Tensor:
    """Zeroes `inputs` `(B, T, ...)` where `padding_mask` `(B, T)` is false."""
    if padding_mask is None:
        return inputs
    mask = ops.cast(padding_mask, "bool")
    # LiteRT has `expand_dims`, but no slice that adds an axis.
    mask = ops.expand_dims(mask, tuple(range(2, len(inputs.shape))))
    return ops.where(mask, inputs, 0)


def merge_attention_masks(
    padding_mask: Tensor | None, attention_mask: Tensor | None
) -> Tensor | None:
    """Returns which keys each query may attend to, `None` for all.

    In the shapes S is the number of keys, in self-attention equal to T. The
    result has the shape `(B, 1, T, S)`, or `(B, 1, 1, S)` without
    `attention_mask`.

    Raises:
        ValueError: if `attention_mask` is not of shape `(B, T, S)`.
    """
    mask = None
    if padding_mask is not None:
        mask = ops.cast(padding_mask, "bool")
        mask = ops.expand_dims(mask, (1, 2))  # (B, 1, 1, S)
    if attention_mask is not None:
        if len(attention_mask.shape) != 3:
            raise ValueError(
                "Expected `attention_mask` of shape (batch, length, length). "
                "Received: attention_mask.shape="
                f"{tuple(attention_mask.shape)}"
            )
        pairs = ops.cast(attention_mask, "bool")
        pairs = ops.expand_dims(pairs, 1)  # (B, 1, T, S)
        mask = pairs if mask is None else ops.logical_and(mask, pairs)
    return mask
