"""The convolution that mixes time and leaves the channels apart."""

from collections.abc import Callable
from functools import partial

import keras
from keras import ops

from keras_convbert.config import depthwise_conv_implementation
from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.ops.time_padding import pad_time
from keras_convbert.ops.time_padding import padding_widths
from keras_convbert.ops.time_padding import window
from keras_convbert.ops.validation import check_floats
from keras_convbert.types import Tensor


def depthwise_conv1d(
    inputs: Tensor, kernel: Tensor, padding: str = "same"
) -> Tensor:
    """Convolves each channel along time with a kernel of its own.

    `y[b, t, c] = sum_k kernel[k, c] * inputs[b, t + k - P, c]`, with the
    padding `P` and the order of the taps of `dynamic_conv1d`.

    Args:
        inputs: Tensor of shape `(batch, length, channels)`.
        kernel: Tensor of shape `(taps, channels)`.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.

    Returns:
        Tensor of shape `(batch, length, channels)` and the dtype of `inputs`.

    Raises:
        ValueError: if the shapes do not fit, there is no tap, `inputs` are no
            floats, or `padding` is unknown.

    Example:

    ```python
    import numpy as np
    from keras_convbert import ops

    inputs = np.ones((2, 5, 4), dtype="float32")
    outputs = ops.depthwise_conv1d(inputs, np.ones((3, 4), dtype="float32"))
    ```
    """
    inputs = ops.convert_to_tensor(inputs)
    kernel = ops.cast(kernel, inputs.dtype)
    if (
        len(inputs.shape) != 3
        or len(kernel.shape) != 2
        or inputs.shape[-1] != kernel.shape[-1]
    ):
        raise ValueError(
            "Expected `inputs` (batch, length, channels) and `kernel` (taps, "
            "channels) with the same number of channels. Received: "
            f"inputs.shape={tuple(inputs.shape)}, "
            f"kernel.shape={tuple(kernel.shape)}"
        )
    check_floats("inputs", inputs)
    left, right = padding_widths(kernel.shape[0], padding)
    return _formulation()(inputs, kernel, left, right)


def _formulation() -> Callable[..., Tensor]:
    """How to convolve, by the part `depthwise` of
    `benchmarks/results/operators.json`.

    XLA on a CPU makes a slow loop of a grouped convolution, and a compiler
    cannot fuse it; TensorFlow's graph and torch by itself have fast ones. On a
    GPU not measured.
    """
    forced = depthwise_conv_implementation()
    if forced is not None:
        return _FORMULATIONS[forced]
    backend = keras.backend.backend()
    if backend == "jax" or (backend == "torch" and _compiled_by_torch()):
        return _shifts_with_gradient
    return _native


def _compiled_by_torch() -> bool:
    import torch

    return torch.compiler.is_compiling()


def _native(inputs: Tensor, kernel: Tensor, left: int, right: int) -> Tensor:
    may_be_empty = (
        keras.backend.backend() == "tensorflow" and not inputs.shape[0]
    )
    if may_be_empty:
        # For an empty batch TensorFlow returns an uninitialized gradient.
        has_rows = ops.shape(inputs)[0] > 0
        kernel = ops.where(has_rows, kernel, ops.zeros_like(kernel))
    outputs = ops.depthwise_conv(
        pad_time(inputs, left, right),
        ops.expand_dims(kernel, -1),
        padding="valid",
        data_format="channels_last",
    )
    if may_be_empty:
        # For an empty batch oneDNN returns the padded length.
        outputs = outputs[:, : ops.shape(inputs)[1]]
    return outputs


def _shifts(inputs: Tensor, kernel: Tensor, left: int, right: int) -> Tensor:
    taps = kernel.shape[0]
    padded = pad_time(inputs, left, right)  # (B, T + K - 1, C)
    return sum(kernel[k] * window(padded, k, taps) for k in range(taps))


def _shifts_with_gradient(
    inputs: Tensor, kernel: Tensor, left: int, right: int
) -> Tensor:
    convolve = with_gradient(
        partial(_shifts, left=left, right=right),
        partial(_shifts_backward, left=left, right=right),
    )
    return convolve(inputs, kernel)


def _shifts_backward(
    upstream: Tensor, inputs: Tensor, kernel: Tensor, left: int, right: int
) -> tuple[Tensor, Tensor]:
    taps = kernel.shape[0]
    padded = pad_time(inputs, left, right)  # (B, T + K - 1, C)
    kernel_gradient = ops.stack(
        [
            ops.sum(upstream * window(padded, k, taps), axis=(0, 1))
            for k in range(taps)
        ]
    )  # (K, C)
    # Seen from an input the taps come in reverse, and so do the sides.
    inputs_gradient = _shifts(upstream, ops.flip(kernel, axis=0), right, left)
    return inputs_gradient, kernel_gradient


_FORMULATIONS = {"native": _native, "shifts": _shifts_with_gradient}
