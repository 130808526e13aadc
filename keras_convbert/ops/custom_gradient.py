"""A function of tensors with a gradient of its own, alike on all backends."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_convbert.types import Tensor


def with_gradient(
    forward: Callable[..., Tensor], backward: Callable[..., tuple[Tensor, ...]]
) -> Callable[..., Tensor]:
    """`forward`, differentiated by `backward`, keeping its inputs alone.

    Args:
        forward: function of tensors that returns one tensor.
        backward: function of the gradient of that tensor, then the tensors,
            that returns the gradients of these.

    Returns:
        A function with the arguments of `forward`.
    """
    backend = keras.backend.backend()

    @ops.custom_gradient
    def function(*tensors: Tensor) -> tuple[Tensor, Any]:
        outputs = forward(*tensors)
        if backend == "torch":
            # What the gradient needs comes from torch, which under gradient
            # checkpointing has dropped it; a closure would keep it alive.
            return outputs, lambda *saved, upstream: backward(upstream, *saved)
        return outputs, lambda upstream: backward(upstream, *tensors)

    if backend != "tensorflow":
        return function

    def function_of_values(*tensors: Tensor) -> Tensor:
        import tensorflow as tf

        # A variable that is read inside would want a gradient of its own.
        return function(*map(tf.convert_to_tensor, tensors))

    return function_of_values
