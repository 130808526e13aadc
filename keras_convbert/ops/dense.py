"""A dense projection on torch: one product of matrices that adds the bias."""

import math

import keras
from keras import ops

from keras_convbert.types import Tensor


def adds_bias_in_product() -> bool:
    """Whether `dense` replaces the layers of Keras that do the same.

    On torch it is faster: `benchmarks/results/model.json`. Elsewhere it was
    not measured.
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
    import torch

    kernel = ops.convert_to_tensor(kernel)
    bias = ops.convert_to_tensor(bias)
    width, units = math.prod(kernel.shape[:axes]), kernel.shape[axes:]
    # A call of `keras.ops` costs torch's compiler a tenth of a second.
    outputs = torch.addmm(
        bias.reshape(-1),
        inputs.reshape(-1, width),
        kernel.reshape(width, -1),
    )
    return outputs.reshape(*inputs.shape[:-axes], *units)
