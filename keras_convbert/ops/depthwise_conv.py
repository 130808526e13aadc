"""The convolution that mixes positions and keeps channels apart."""

from collections.abc import Callable
from functools import partial

import keras
from keras import ops

from keras_convbert.config import implementation
from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.ops.sizes import at_least_one
from keras_convbert.ops.time_padding import pad_time
from keras_convbert.ops.time_padding import padding_widths
from keras_convbert.ops.time_padding import window
from keras_convbert.ops.validation import check_floats
from keras_convbert.types import Tensor


def depthwise_conv1d(
    inputs: Tensor, kernel: Tensor, padding: str = "same"
) -> Tensor:
    """Convolves each channel along time with its own kernel.

    `y[b, t, d] = sum_k kernel[k, d] * inputs[b, t + k - P, d]`, with the
    padding `P` and the order of the taps as in `dynamic_conv1d`.

    Args:
        inputs: Tensor of shape `(batch, length, channels)`.
        kernel: Tensor of shape `(taps, channels)`.
        padding: string, `"same"` or `"causal"`. Defaults to `"same"`.

    Returns:
        Tensor of shape `(batch, length, channels)` and the dtype of `inputs`.

    Raises:
        ValueError: if the shapes do not match, there is no tap, `inputs` are
            not floats, or `padding` is unknown.

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
    """The fastest formulation, or the one that `config` forces.

    Measured on a CPU: part `depthwise` of `benchmarks/results/operators.json`.
    XLA compiles a grouped convolution to a slow loop, and torch compiles the
    shifts into one kernel; TensorFlow graphs and eager torch have fast
    convolutions. GPUs were not measured.
    """
    forced = implementation("depthwise_conv1d")
    if forced is not None:
        return _FORMULATIONS[forced]
    backend = keras.backend.backend()
    if backend == "jax" or (backend == "torch" and _is_torch_compiling()):
        return _shifts_with_gradient
    return _native


def _is_torch_compiling() -> bool:
    import torch

    return torch.compiler.is_compiling()


def _native(inputs: Tensor, kernel: Tensor, left: int, right: int) -> Tensor:
    if all(inputs.shape[:2]):
        return _valid(pad_time(inputs, left, right), kernel)
    # Without rows TensorFlow returns an uninitialized gradient; without
    # positions oneDNN returns the padded length, and PyTorch raises an error.
    rows, length = ops.shape(inputs)[:2]
    one_row = (0, at_least_one(rows) - rows)
    one_position = (left, right + at_least_one(length) - length)
    padded = ops.pad(inputs, (one_row, one_position, (0, 0)))
    # A graph does not know the channels after such a padding.
    padded = ops.reshape(padded, (*ops.shape(padded)[:2], inputs.shape[-1]))
    return _valid(padded, kernel)[:rows, :length]


def _valid(inputs: Tensor, kernel: Tensor) -> Tensor:
    return ops.depthwise_conv(
        inputs,
        ops.expand_dims(kernel, -1),
        padding="valid",
        data_format="channels_last",
    )


def _shifts(inputs: Tensor, kernel: Tensor, left: int, right: int) -> Tensor:
    taps = kernel.shape[0]
    padded = pad_time(inputs, left, right)  # (B, T + K - 1, D)
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
    padded = pad_time(inputs, left, right)  # (B, T + K - 1, D)
    kernel_gradient = ops.stack(
        [
            ops.sum(upstream * window(padded, k, taps), axis=(0, 1))
            for k in range(taps)
        ]
    )  # (K, D)
    # The transposed convolution: taps and sides are reversed.
    inputs_gradient = _shifts(upstream, ops.flip(kernel, axis=0), right, left)
    return inputs_gradient, kernel_gradient


_FORMULATIONS = {"native": _native, "shifts": _shifts_with_gradient}
