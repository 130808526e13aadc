"""Outputs and gradients of a function of arrays, on the backend in use."""

import keras
import numpy as np


def outputs_and_gradients(function, arrays, upstream):
    """`function(*arrays)` and the gradients of `sum(outputs * upstream)`."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.constant(a) for a in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = function(*tensors)
            loss = tf.reduce_sum(outputs * upstream)
        gradients = tape.gradient(loss, tensors)
    elif backend == "jax":
        import jax

        def loss_of(*tensors):
            outputs = function(*tensors)
            return (outputs * upstream).sum(), outputs

        places = tuple(range(len(arrays)))
        compiled = jax.jit(jax.grad(loss_of, places, has_aux=True))
        gradients, outputs = compiled(*arrays)
    else:
        import torch

        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        outputs = function(*tensors)
        (outputs * torch.tensor(upstream)).sum().backward()
        outputs = outputs.detach()
        gradients = [t.grad for t in tensors]
    return _numpy(outputs), [_numpy(g) for g in gradients]


def _numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))
