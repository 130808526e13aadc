"""Outputs of a layer, and gradients of its inputs and all its weights."""

import keras

from tests.layers.lifecycle import to_numpy


def outputs_and_gradients(layer, inputs, upstream, **named):
    """Returns outputs and gradients of `sum(outputs * upstream)` by path.

    The gradient of `inputs` is called "inputs".
    """
    by_backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    function = by_backend[keras.backend.backend()]
    outputs, by_inputs, by_weights = function(layer, inputs, upstream, named)
    gradients = {"inputs": to_numpy(by_inputs)}
    start = len(layer.path) + 1
    for weight, gradient in zip(
        layer.trainable_weights, by_weights, strict=True
    ):
        gradients[weight.path[start:]] = to_numpy(gradient)
    return to_numpy(outputs), gradients


def _tensorflow(layer, inputs, upstream, named):
    import tensorflow as tf

    inputs = tf.constant(inputs)
    weights = [weight.value for weight in layer.trainable_weights]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, **named)
            loss = tf.reduce_sum(outputs * upstream)
        return outputs, tape.gradient(loss, [inputs, *weights])

    outputs, (by_inputs, *by_weights) = step()
    return outputs, by_inputs, by_weights


def _jax(layer, inputs, upstream, named):
    import jax

    others = [weight.value for weight in layer.non_trainable_variables]

    def loss_of(inputs, weights):
        outputs, _ = layer.stateless_call(weights, others, inputs, **named)
        return (outputs * upstream).sum(), outputs

    weights = [weight.value for weight in layer.trainable_weights]
    compiled = jax.jit(jax.grad(loss_of, (0, 1), has_aux=True))
    (by_inputs, by_weights), outputs = compiled(inputs, weights)
    return outputs, by_inputs, by_weights


def _torch(layer, inputs, upstream, named):
    import torch

    inputs = torch.tensor(inputs, requires_grad=True)
    layer.zero_grad()
    outputs = layer(inputs, **named)
    (outputs * torch.tensor(upstream)).sum().backward()
    by_weights = [weight.value.grad for weight in layer.trainable_weights]
    return outputs.detach(), inputs.grad, by_weights
