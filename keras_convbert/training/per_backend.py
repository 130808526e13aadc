"""The parts of training that depend on the backend."""

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
    """Excludes a function from compilation by PyTorch.

    Use it for code that the compiler cannot trace, and that calls few or fast
    kernels. On other backends the function stays part of the graph.
    """
    if BACKEND != "torch":
        return function
    import torch

    return torch.compiler.disable(function)


def on_eager_torch() -> bool:
    """Returns whether PyTorch runs this step without compiling it.

    While PyTorch compiles a step, this is false: compiled, the operations of
    Keras are as fast as the fused kernels.
    """
    if BACKEND != "torch":
        return False
    import torch

    return not torch.compiler.is_compiling()


def on_tensorflow() -> bool:
    """Returns whether TensorFlow is the backend."""
    return BACKEND == "tensorflow"


def dense_gradient(gradient: Tensor) -> Tensor:
    """Returns a gradient as a dense tensor, with repeated rows summed."""
    if BACKEND != "tensorflow":
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def trained_values(model: keras.Model) -> list[Tensor]:
    """Returns the values of the trainable weights after a step of `fit`."""
    if BACKEND == "jax":
        state = jax_training_state(model)
        if state is not None:
            values: list[Tensor] = state["trainable_variables"]
            return values
    return [variable.value for variable in model.trainable_variables]


def unshare(variables: Sequence[keras.Variable]) -> None:
    """Gives each variable an array of its own, on JAX.

    There, assigning one variable to another makes both share an array. The
    next step deletes the arrays of its inputs, and thereby the array of the
    other variable.
    """
    if BACKEND != "jax":
        return
    from jax import numpy as jnp

    for variable in variables:
        variable.assign(jnp.copy(variable.value))


def synchronize(model: keras.Model) -> None:
    """Updates the variables to the last step of `fit`, on JAX."""
    if BACKEND == "jax":
        model.jax_state_sync()


def make_total(model: keras.Model) -> Callable[[], float]:
    """Makes a function whose value is finite if all trained weights are.

    It runs on the device of the weights, in one call. Very large finite
    weights may make it infinite too.
    """
    if BACKEND == "jax":
        import jax

        total = jax.jit(_jax_total)
        return lambda: float(total([*trained_values(model)]))
    if BACKEND == "torch":
        # Keras collects them anew at each access.
        variables = model.trainable_variables
        return lambda: _torch_total([v.value for v in variables])
    import tensorflow as tf

    values = trained_values(model)

    @tf.function(autograph=False)
    def tf_total() -> Any:
        sums = [tf.reduce_sum(tf.cast(v, "float32")) for v in values]
        return tf.add_n([tf.zeros(()), *sums])

    # Traced once here: TensorFlow warns of repeated tracing.
    concrete = tf_total.get_concrete_function()
    return lambda: float(concrete())


def _jax_total(values: Sequence[Tensor]) -> Tensor:
    from jax import numpy as jnp

    return sum(jnp.sum(value.astype("float32")) for value in values)


def _torch_total(values: Sequence[Tensor]) -> float:
    import torch

    with torch.no_grad():
        return float(torch.nn.utils.get_total_norm([*values]))


def has_one_tensorflow_replica() -> bool:
    """Returns whether TensorFlow trains without other replicas."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync == 1
