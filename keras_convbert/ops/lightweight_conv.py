"""The convolution whose kernel is shared by the channels of a head."""

from keras import ops

from keras_convbert.ops.depthwise_conv import depthwise_conv1d
from keras_convbert.ops.validation import check_heads
from keras_convbert.types import Tensor


def lightweight_conv1d(
    values: Tensor, kernel: Tensor, padding: str = "same"
) -> Tensor:
    """Convolves all positions with the same kernel, one per head.

    `y[b, t, d] = sum_k kernel[d // R, k] * values[b, t + k - P, d]`, with
    `R`, the padding `P` and the order of the taps as in `dynamic_conv1d`.

    Args:
        values: Tensor of shape `(batch, length, channels)`.
        kernel: Tensor of shape `(heads, taps)`; `heads` divides `channels`.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.

    Returns:
        Tensor of shape `(batch, length, channels)` and the dtype of `values`.

    Raises:
        ValueError: if a rank is wrong, `values` are not floats, the heads do
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
    check_heads(channels, num_heads)
    by_channel = ops.repeat(kernel, channels // num_heads, axis=0)  # (D, K)
    return depthwise_conv1d(values, ops.transpose(by_channel), padding)
