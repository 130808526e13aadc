"""The dynamic convolution, as `ops.dynamic_conv1d` and as layers call it."""

from keras import ops

from keras_convbert.ops.dynamic_conv.dispatch import formulation
from keras_convbert.ops.time_padding import padding_widths
from keras_convbert.ops.validation import check_floats
from keras_convbert.ops.validation import check_heads
from keras_convbert.types import Tensor


def dynamic_conv1d(
    values: Tensor, kernels: Tensor, padding: str = "same"
) -> Tensor:
    """Convolves each position with its own kernel, one per head.

    `y[b, t, d] = sum_k kernels[b, t, d // R, k] * values[b, t + k - P, d]`
    with `R = D / H` features per head. Values outside the sequence are zero.
    `P` is the left padding: `(K - 1) // 2` for `"same"`, `K - 1` for
    `"causal"`. Tap 0 reads the oldest input. The kernels are not normalized
    here.

    Args:
        values: Tensor of shape `(batch, length, channels)`.
        kernels: Tensor of shape `(batch, length, heads, taps)`; `heads`
            divides `channels`, and the channels of a head are contiguous.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.

    Returns:
        Tensor of shape `(batch, length, channels)` and the dtype of `values`.

    Raises:
        ValueError: if a rank is wrong, `values` are not floats, `kernels` and
            `values` differ in batch or length, the heads do not divide the
            channels, there is no tap, or `padding` is unknown.

    Example:

    ```python
    import numpy as np
    from keras_convbert import ops

    values = np.arange(1.0, 6.0, dtype="float32").reshape(1, 5, 1)
    kernels = np.tile(np.float32([1 / 6, 1 / 3, 1 / 2]), (1, 5, 1, 1))
    outputs = ops.dynamic_conv1d(values, kernels)
    # [1.333, 2.333, 3.333, 4.333, 2.333]
    ```

    Reference:
        - [Pay Less Attention with Lightweight and Dynamic Convolutions](
          https://arxiv.org/abs/1901.10430), section 3.2
        - [ConvBERT](https://arxiv.org/abs/2008.02496), section 3.2
    """
    values = ops.convert_to_tensor(values)
    kernels = ops.convert_to_tensor(kernels)
    if len(values.shape) != 3 or len(kernels.shape) != 4:
        raise ValueError(
            "Expected `values` of rank 3 (batch, length, channels) and "
            "`kernels` of rank 4 (batch, length, heads, taps). Received: "
            f"values.shape={tuple(values.shape)}, "
            f"kernels.shape={tuple(kernels.shape)}"
        )
    check_floats("values", values)
    _check_rows(values, kernels)
    channels, num_heads = values.shape[-1], kernels.shape[-2]
    check_heads(channels, num_heads)

    outer = ops.shape(values)[:2]
    by_head = ops.reshape(
        values, (*outer, num_heads, channels // num_heads)
    )  # (B, T, H, R)
    outputs = dynamic_conv_of_heads(by_head, kernels, padding)  # (B, T, H, R)
    return ops.reshape(outputs, (*outer, channels))  # (B, T, D)


def dynamic_conv_of_heads(
    values: Tensor, kernels: Tensor, padding: str = "same"
) -> Tensor:
    """Computes `dynamic_conv1d` of values whose heads have an axis.

    Args:
        values: Tensor of shape `(batch, length, heads, features)`.
        kernels: Tensor of shape `(batch, length, heads, taps)`.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.

    Returns:
        Tensor of the shape of `values`.

    Raises:
        ValueError: if there is no tap, or `padding` is unknown.
    """
    taps = kernels.shape[-1]
    left, right = padding_widths(taps, padding)
    kernels = ops.cast(kernels, values.dtype)
    return formulation(values, taps)(values, kernels, left, right)


def _check_rows(values: Tensor, kernels: Tensor) -> None:
    """Raises `ValueError` if `kernels` would have to broadcast."""
    pairs = zip(values.shape[:2], kernels.shape[:2], strict=True)
    if any(a != b for a, b in pairs if a is not None and b is not None):
        raise ValueError(
            "Expected `kernels` and `values` of the same batch and length. "
            "Received: "
            f"values.shape={tuple(values.shape)}, "
            f"kernels.shape={tuple(kernels.shape)}"
        )
