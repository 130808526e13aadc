"""A dense projection as one product of two matrices."""

import math

import keras
from keras import ops

from keras_convbert.types import Tensor


def dense_beats_layers() -> bool:
    """Whether `dense` replaces the layers of Keras that do the same.

    On torch and on TensorFlow it is faster: `benchmarks/results/model.json`
    and `fit.json`. TensorFlow multiplies Keras's products sample by sample
    in their backward pass, and holds the gradients of all. Elsewhere it was
    not measured.
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
        import torch

        # A call of `keras.ops` costs torch's compiler a tenth of a second.
        outputs = torch.addmm(
            bias.reshape(-1),
            inputs.reshape(-1, width),
            kernel.reshape(width, -1),
        )
        return outputs.reshape(*inputs.shape[:-axes], *units)
    outputs = ops.matmul(
        ops.reshape(inputs, (-1, width)), ops.reshape(kernel, (width, -1))
    )
    outputs = outputs + ops.reshape(bias, (-1,))
    return ops.reshape(outputs, (*ops.shape(inputs)[:-axes], *units))
