"""What of training differs from one backend to another."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

import keras

from keras_convbert.compat import jax_training_state
from keras_convbert.types import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

BACKEND = keras.backend.backend()


def not_compiled(function: Function) -> Function:
    """A function that torch runs as it is in the middle of a compiled step.

    For what compilers cannot follow, where its kernels are few or good. On
    other backends it stays part of the graph.
    """
    if BACKEND != "torch":
        return function
    import torch

    return torch.compiler.disable(function)


def on_eager_torch() -> bool:
    """Whether weights are PyTorch's, and nobody compiles this very step.

    A compiler makes kernels that are as good of what Keras does.
    """
    if BACKEND != "torch":
        return False
    import torch

    return not torch.compiler.is_compiling()


def on_tensorflow() -> bool:
    """Whether weights are TensorFlow's."""
    return BACKEND == "tensorflow"


def dense_gradient(gradient: Tensor) -> Tensor:
    """A gradient in which what was said of one row is added up."""
    if BACKEND != "tensorflow":
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def trained_values(model: keras.Model) -> list[Tensor]:
    """The weights that are trained, as they are after a step of `fit`."""
    if BACKEND == "jax":
        state = jax_training_state(model)
        if state is not None:
            values: list[Tensor] = state["trainable_variables"]
            return values
    return [variable.value for variable in model.trainable_variables]


def synchronize(model: keras.Model) -> None:
    """Puts into the variables what a step of `fit` has made of them."""
    if BACKEND == "jax":
        model.jax_state_sync()


def make_total(model: keras.Model) -> Callable[[], float]:
    """A function that is NaN or infinite if a trained weight is.

    It is computed where the weights are, in one go. Very large weights may
    make it infinite too.
    """
    if BACKEND == "jax":
        import jax

        total = jax.jit(_jax_total)
        return lambda: float(total([*trained_values(model)]))
    if BACKEND == "torch":
        # Keras walks through the model when it is asked for them.
        variables = model.trainable_variables
        return lambda: _torch_total([v.value for v in variables])
    import tensorflow as tf

    values = trained_values(model)

    @tf.function(autograph=False)
    def tf_total() -> Any:
        sums = [tf.reduce_sum(tf.cast(v, "float32")) for v in values]
        return tf.add_n([tf.zeros(()), *sums])

    # Traced once here: TensorFlow warns of functions traced again and again.
    concrete = tf_total.get_concrete_function()
    return lambda: float(concrete())


def _jax_total(values: Sequence[Tensor]) -> Tensor:
    from jax import numpy as jnp

    return sum(jnp.sum(value.astype("float32")) for value in values)


def _torch_total(values: Sequence[Tensor]) -> float:
    import torch

    with torch.no_grad():
        return float(torch.nn.utils.get_total_norm([*values]))
