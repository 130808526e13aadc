"""What Keras does not offer for a backend."""

import weakref
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np


def without_autotune(dataset: Any) -> Any:
    """Returns a `tf.data` dataset that TensorFlow does not tune.

    Tuning gains nothing where Python makes the batches. And the end of an
    iterator waits for the tuner: as long as the iterator was in use, up to a
    minute.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def weak_method(
    method: Callable[[], Iterator[Any]],
) -> Callable[[], Iterator[Any]]:
    """Returns a function that calls a method without owning its object.

    TensorFlow owns the generator of every `tf.data` dataset until the process
    ends, and through it whatever makes the batches, such as a model.
    """
    reference = weakref.WeakMethod(method)

    def call() -> Iterator[Any]:
        found = reference()
        if found is None:
            raise ReferenceError("The object that makes the batches is deleted")
        return found()

    return call


def own_custom_gradient(output: Any) -> Any:
    """Lets a TensorFlow graph own the gradient of an output of its.

    TensorFlow keeps every custom gradient of a graph until the process ends,
    and through it the graph.

    Args:
        output: a tensor that a function with `tf.custom_gradient` returned.

    Returns:
        The tensor.
    """
    import tensorflow as tf
    from tensorflow.python.framework import ops

    if tf.executing_eagerly():
        return output
    name = output.op.get_attr("_gradient_op_type").decode()
    registry = ops.gradient_registry._registry
    entry, graph = registry[name], output.op.graph
    gradient = entry["type"]
    reference = weakref.ref(gradient)

    def call(*arguments: Any) -> Any:
        found = reference()
        if found is None:
            raise ReferenceError("The graph of the gradient is deleted")
        return found(*arguments)

    entry["type"] = call
    others = getattr(graph, "_custom_gradients", ())
    graph._custom_gradients = (*others, gradient)
    weakref.finalize(graph, registry.pop, name, None).atexit = False
    return output


def owned_by_dataset(owner: Any, dataset: Any) -> Any:
    """Returns a `tf.data` dataset that keeps the owner of its method alive.

    Iterators of TensorFlow keep their dataset.
    """
    dataset._owner_of_batches = owner
    return dataset


def torch_generators() -> dict[str, np.ndarray]:
    """Returns the states of the global PyTorch generators.

    Their names are `cpu`, `cuda:0`, `cuda:1`, … On another backend there are
    none.
    """
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        for number, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"cuda:{number}"] = state
    return {name: state.numpy() for name, state in states.items()}


def set_torch_generators(states: dict[str, np.ndarray]) -> None:
    """Sets the global PyTorch generators to states that were read.

    Devices that the machine does not have are skipped. On another backend, or
    with no states, nothing happens.

    Raises:
        KeyError: if there are states, but none of the CPU.
        RuntimeError: if a state has another size than PyTorch expects.
        TypeError: if a state is not an array of bytes.
    """
    if keras.backend.backend() != "torch" or not states:
        return
    import torch

    torch.set_rng_state(torch.from_numpy(states["cpu"].copy()))
    for number in range(torch.cuda.device_count()):
        name = f"cuda:{number}"
        if name in states:
            state = torch.from_numpy(states[name].copy())
            torch.cuda.set_rng_state(state, number)
