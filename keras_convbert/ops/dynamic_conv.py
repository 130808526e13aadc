"""Convolutions whose kernel is shared by the channels of a head.

Letters: B batch, T length, C channels, H heads, R = C/H channels of a head,
K taps. The sums run over K shifted views, so that nothing `K` times the size
of the input is ever held.
"""

from collections.abc import Callable

import keras
from keras import ops

from keras_convbert.config import dynamic_conv_implementation
from keras_convbert.ops.depthwise_conv import depthwise_conv1d
from keras_convbert.ops.dynamic_conv_blocks import blocks
from keras_convbert.ops.dynamic_conv_blocks import fits
from keras_convbert.ops.dynamic_conv_shifts import shifts
from keras_convbert.ops.dynamic_conv_slices import slices
from keras_convbert.ops.time_padding import pad_time
from keras_convbert.ops.time_padding import padding_widths
from keras_convbert.ops.time_padding import window
from keras_convbert.ops.validation import check_floats
from keras_convbert.types import Tensor


def dynamic_conv1d(
    values: Tensor, kernels: Tensor, padding: str = "same"
) -> Tensor:
    """Convolves each position with a kernel of its own.

    `y[b, t, c] = sum_k kernels[b, t, c // R, k] * values[b, t + k - P, c]`,
    where values outside the sequence are zero and `P` is the left padding:
    `(K - 1) // 2` for `"same"`, `K - 1` for `"causal"`. Tap 0 is the oldest
    input. Kernels are used as they come: normalise them first.

    Args:
        values: Tensor of shape `(batch, length, channels)`.
        kernels: Tensor of shape `(batch, length, heads, taps)`; `heads`
            divides `channels`, and a head's channels are contiguous.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.

    Returns:
        Tensor of shape `(batch, length, channels)` and the dtype of `values`.

    Raises:
        ValueError: if a rank is wrong, `values` are no floats, batch or length
            of the kernels are not those of `values`, the heads do not divide
            the channels, there is no tap, or `padding` is unknown.

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
    _check_heads(channels, num_heads)

    length = ops.shape(values)[1]
    by_head = ops.reshape(
        values, (-1, length, num_heads, channels // num_heads)
    )  # (B, T, H, R)
    outputs = dynamic_conv_of_heads(by_head, kernels, padding)  # (B, T, H, R)
    return ops.reshape(outputs, (-1, length, channels))  # (B, T, C)


def dynamic_conv_of_heads(
    values: Tensor, kernels: Tensor, padding: str = "same"
) -> Tensor:
    """`dynamic_conv1d` of `values` of shape `(batch, length, heads, features)`.

    Args:
        values: Tensor of that shape.
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
    return _formulation(values, taps)(values, kernels, left, right)


def lightweight_conv1d(
    values: Tensor, kernel: Tensor, padding: str = "same"
) -> Tensor:
    """Convolves every position with the same kernel, one for each head.

    `y[b, t, c] = sum_k kernel[c // R, k] * values[b, t + k - P, c]`, with
    the padding `P` and the order of the taps of `dynamic_conv1d`.

    Args:
        values: Tensor of shape `(batch, length, channels)`.
        kernel: Tensor of shape `(heads, taps)`; `heads` divides `channels`.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.

    Returns:
        Tensor of shape `(batch, length, channels)` and the dtype of `values`.

    Raises:
        ValueError: if a rank is wrong, `values` are no floats, the heads do
            not divide the channels, there is no tap, or `padding` is unknown.

    Example:

    ```python
    import numpy as np
    from keras_convbert import ops

    values = np.ones((2, 5, 4), dtype="float32")
    kernel = np.float32([[0.5, 0.5], [1.0, 0.0]])
    outputs = ops.lightweight_conv1d(values, kernel, padding="causal")
    ```

    Reference:
        - [Pay Less Attention with Lightweight and Dynamic Convolutions](
          https://arxiv.org/abs/1901.10430), section 3.1
    """
    values = ops.convert_to_tensor(values)
    kernel = ops.convert_to_tensor(kernel)
    if len(values.shape) != 3 or len(kernel.shape) != 2:
        raise ValueError(
            "Expected `values` of rank 3 (batch, length, channels) and "
            "`kernel` of rank 2 (heads, taps). Received: "
            f"values.shape={tuple(values.shape)}, "
            f"kernel.shape={tuple(kernel.shape)}"
        )
    channels, num_heads = values.shape[-1], kernel.shape[0]
    _check_heads(channels, num_heads)
    by_channel = ops.repeat(kernel, channels // num_heads, axis=0)  # (C, K)
    return depthwise_conv1d(values, ops.transpose(by_channel), padding)


def _formulation(values: Tensor, taps: int) -> Callable[..., Tensor]:
    """How to convolve `values` `(B, T, H, R)`, forward and backward.

    Each row names its column of `benchmarks/results/operators.json`, written
    by `benchmarks/operators.py`. On a GPU, by `benchmarks/results/gpu.json`,
    `blocks` wins on torch eager where gradients of long rows are wanted; else
    these are within a tenth of the fastest. TensorFlow was not measured there.
    """
    forced = dynamic_conv_implementation()
    if forced == "blocks" and not fits(values, taps):
        return shifts
    if forced is not None:
        return _FORMULATIONS[forced]
    backend = keras.backend.backend()
    if backend == "jax" and fits(values, taps):
        return blocks  # jax
    if backend == "torch" and _eager_in_torch():
        if _learns_long_rows_on_a_gpu(values) and fits(values, taps):
            return blocks  # torch eager, on a GPU, backward
        return slices  # torch eager
    return shifts  # torch compiled, tensorflow graph, tensorflow xla


def _eager_in_torch() -> bool:
    import torch

    return not torch.compiler.is_compiling()


def _learns_long_rows_on_a_gpu(values: Tensor) -> bool:
    return values.is_cuda and values.requires_grad and values.shape[1] >= 512


def _simple(values: Tensor, kernels: Tensor, left: int, right: int) -> Tensor:
    """The readable form, differentiated by the backend: the others' oracle."""
    taps = kernels.shape[-1]
    padded = pad_time(values, left, right)  # (B, T + K - 1, H, R)
    return sum(
        kernels[..., k : k + 1] * window(padded, k, taps) for k in range(taps)
    )  # (B, T, H, R)


_FORMULATIONS = {
    "simple": _simple,
    "shifts": shifts,
    "blocks": blocks,
    "slices": slices,
}


def _check_rows(values: Tensor, kernels: Tensor) -> None:
    """Each position has a kernel: they do not broadcast."""
    known = [
        (a, b)
        for a, b in zip(values.shape[:2], kernels.shape[:2], strict=True)
        if a is not None and b is not None
    ]
    if any(a != b for a, b in known):
        raise ValueError(
            "Expected `kernels` of the batch and length of `values`. Received: "
            f"values.shape={tuple(values.shape)}, "
            f"kernels.shape={tuple(kernels.shape)}"
        )


def _check_heads(channels: int, num_heads: int) -> None:
    if not num_heads or channels % num_heads:
        raise ValueError(
            "Expected a number of heads that divides the channels of "
            f"`values`. Received: heads={num_heads}, channels={channels}"
        )
