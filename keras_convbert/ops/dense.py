"""A dense projection as one product of two matrices."""

import math

import keras
from keras import ops

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.types import Tensor


def use_fused_dense() -> bool:
    """Whether `dense` replaces the layers of Keras that do the same.

    On torch and on TensorFlow it is faster than they were in the commits
    before it (`benchmarks/README.md`). TensorFlow multiplies Keras's products
    sample by sample in their backward pass, and holds the gradients of all.
    Elsewhere it was not measured.
    """
    return keras.backend.backend() in ("tensorflow", "torch")


def dense(
    inputs: Tensor, kernel: Tensor, bias: Tensor, axes: int = 1
) -> Tensor:
    """`inputs W + b`, over the last axes of the inputs.

    Args:
        inputs: Tensor of shape `(..., *features)`.
        kernel: `W`, of shape `(*features, *units)`.
        bias: `b`, of shape `units`.
        axes: int. How many axes the features have. Defaults to `1`.

    Returns:
        Tensor of shape `(..., *units)`.
    """
    kernel = ops.convert_to_tensor(kernel)
    bias = ops.convert_to_tensor(bias)
    width, units = math.prod(kernel.shape[:axes]), kernel.shape[axes:]
    if keras.backend.backend() == "torch":
        # A call of `keras.ops` costs torch's compiler a tenth of a second.
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
    """They begin with what is half as wide, which alone is held till then."""
    upstream = upstream.float()
    return (
        (upstream @ kernel.float().T).to(inputs.dtype),
        (inputs.float().T @ upstream).to(kernel.dtype),
        upstream.sum(0).to(bias.dtype),
    )


def _half_is_slow() -> bool:
    """Whether PyTorch multiplies half-wide matrices in a plain loop.

    So it does on processors with no instructions for them beyond AVX2, at a
    hundredth of the speed of float32.
    """
    if keras.backend.backend() != "torch":
        return False
    import torch

    return torch.backends.cpu.get_cpu_capability() == "AVX2"


# Known before a compiler traces.
_HALF_IS_SLOW = _half_is_slow()
