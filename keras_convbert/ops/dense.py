"""A dense projection as one product of matrices that adds the bias."""

import math

import keras
from keras import ops

from keras_convbert.types import Tensor


def adds_bias_in_product() -> bool:
    """Whether `dense` is faster than a layer of Keras that does the same.

    On torch it is: `benchmarks/results/model.json`. Elsewhere the compiler
    joins the two.
    """
    return keras.backend.backend() == "torch"


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
        import torch

        # A call of `keras.ops` costs torch's compiler a tenth of a second.
        outputs = torch.addmm(
            bias.reshape(-1),
            inputs.reshape(-1, width),
            kernel.reshape(width, -1),
        )
        return outputs.reshape(*inputs.shape[:-axes], *units)
    outer = ops.shape(inputs)[:-axes]
    rows = ops.reshape(inputs, (-1, width))
    matrix = ops.reshape(kernel, (width, -1))
    outputs = ops.matmul(rows, matrix) + ops.reshape(bias, (-1,))
    return ops.reshape(outputs, (*outer, *units))
