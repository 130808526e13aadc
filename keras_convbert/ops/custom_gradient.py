"""Functions of tensors with a custom gradient, alike on all backends."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_convbert.compat import own_custom_gradient
from keras_convbert.types import Tensor


def with_gradient(
    forward: Callable[..., Tensor], backward: Callable[..., tuple[Tensor, ...]]
) -> Callable[..., Tensor]:
    """Returns `forward` with the gradient `backward`, which keeps only inputs.

    Args:
        forward: function of tensors that returns one tensor.
        backward: function of the gradient of that output, followed by the
            inputs, that returns the gradients of the inputs.

    Returns:
        A function with the arguments of `forward`.
    """
    backend = keras.backend.backend()

    @ops.custom_gradient
    def function(*tensors: Tensor) -> tuple[Tensor, Any]:
        outputs = forward(*tensors)
        if backend == "torch":
            # Under gradient checkpointing torch frees the inputs and passes
            # recomputed ones as `saved`; a closure would keep them alive.
            return outputs, lambda *saved, upstream: backward(upstream, *saved)
        return outputs, lambda upstream: backward(upstream, *tensors)

    if backend != "tensorflow":
        return function

    def function_of_values(*tensors: Tensor) -> Tensor:
        import tensorflow as tf

        # A variable read inside would need an extra gradient.
        outputs = function(*map(tf.convert_to_tensor, tensors))
        return own_custom_gradient(outputs)

    return function_of_values
