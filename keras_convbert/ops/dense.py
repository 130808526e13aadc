"""A dense projection as one product of two matrices."""

import math

import keras
from keras import ops

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.types import Tensor


def use_fused_dense() -> bool:
    """Whether to use `dense` instead of the Keras layers that do the same.

    On torch and TensorFlow `dense` is faster (`benchmarks/README.md`): in the
    backward pass of the Keras layers TensorFlow multiplies sample by sample
    and keeps the gradients of all samples. JAX was not measured.
    """
    return keras.backend.backend() in ("tensorflow", "torch")


def dense(
    inputs: Tensor, kernel: Tensor, bias: Tensor, axes: int = 1
) -> Tensor:
    """Computes `inputs W + b` over the last axes of the inputs.

    Args:
        inputs: Tensor of shape `(..., *features)`.
        kernel: `W`, of shape `(*features, *units)`.
        bias: `b`, of shape `units`.
        axes: int. Number of feature axes. Defaults to `1`.

    Returns:
        Tensor of shape `(..., *units)`.
    """
    kernel = ops.convert_to_tensor(kernel)
    bias = ops.convert_to_tensor(bias)
    width, units = math.prod(kernel.shape[:axes]), kernel.shape[axes:]
    if keras.backend.backend() == "torch":
        # The torch compiler takes 0.1 s per call of `keras.ops`.
        outputs = _product_by_torch(
            inputs.reshape(-1, width),
            kernel.reshape(width, -1),
            bias.reshape(-1),
        )
        return outputs.reshape(*inputs.shape[:-axes], *units)
    outputs = ops.matmul(
        ops.reshape(inputs, (-1, width)), ops.reshape(kernel, (width, -1))
    )
    outputs = outputs + ops.reshape(bias, (-1,))
    return ops.reshape(outputs, (*ops.shape(inputs)[:-axes], *units))


def _product_by_torch(inputs: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    import torch

    half = inputs.dtype.itemsize == 2
    if _HALF_IS_SLOW and half and inputs.device.type == "cpu":
        product = with_gradient(_product_in_float32, _gradients_in_float32)
        return product(inputs, kernel, bias)
    return torch.addmm(bias, inputs, kernel)


def _product_in_float32(inputs: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    import torch

    product = torch.addmm(bias.float(), inputs.float(), kernel.float())
    return product.to(inputs.dtype)


def _gradients_in_float32(
    upstream: Tensor, inputs: Tensor, kernel: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients; only the half-precision inputs are kept for them."""
    upstream = upstream.float()
    return (
        (upstream @ kernel.float().T).to(inputs.dtype),
        (inputs.float().T @ upstream).to(kernel.dtype),
        upstream.sum(0).to(bias.dtype),
    )


def _half_is_slow() -> bool:
    """Whether PyTorch multiplies half-precision matrices in a plain loop.

    It does so on processors without instructions beyond AVX2, at 1% of the
    speed of float32.
    """
    if keras.backend.backend() != "torch":
        return False
    import torch

    return torch.backends.cpu.get_cpu_capability() == "AVX2"


# Read at import: a compiler cannot trace the call.
_HALF_IS_SLOW = _half_is_slow()
