"""The layers as formulas in float64 NumPy, which the tests compare with.

Written from sections 3.2 and 3.3 of the ConvBERT paper and from its TF1 code:
both branches share one query, the convolution has its own values, and the
softmax over the taps is not renormalized at the ends. `weights` maps the
paths of weights below a layer to arrays.
"""

import math

import numpy as np

from tests.ops import loops

erf = np.vectorize(math.erf)


def weights_of(layer):
    """Returns arrays by path below `layer`, such as "query/kernel"."""
    start = len(layer.path) + 1
    return {
        weight.path[start:]: np.asarray(weight.numpy(), "float64")
        for weight in layer.weights
    }


def part(weights, name):
    start = f"{name}/"
    return {
        key.removeprefix(start): value
        for key, value in weights.items()
        if key.startswith(start)
    }


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def gelu(x):
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))


def layer_norm(x, gamma, beta, epsilon=1e-12):
    x = x - x.mean(-1, keepdims=True)
    variance = np.square(x).mean(-1, keepdims=True)
    return x / np.sqrt(variance + epsilon) * gamma + beta


def dense(x, kernel, bias):
    """`x` times a kernel `(D, ...)`, plus a bias of any shape."""
    return np.tensordot(x, kernel, 1) + bias


def grouped_dense(x, kernel, bias):
    groups, width, _ = kernel.shape
    blocks = [
        dense(x[..., g * width : (g + 1) * width], kernel[g], bias[g])
        for g in range(groups)
    ]
    return np.concatenate(blocks, axis=-1)


def dynamic_conv(values, kernels, padding="same"):
    return loops.dynamic_conv1d(values, kernels, padding, values)[0]


def span_conv(weights, x, query, mask=None):
    """Returns outputs `(B, T, H, R)` and kernels `(B, T, H, K)`."""
    mask = np.ones(x.shape[:2]) if mask is None else mask
    span = loops.depthwise_conv1d(
        x * mask[..., None], weights["depthwise_kernel"], "same", x
    )[0]
    key = dense(span, **part(weights, "span_key"))
    generator = part(weights, "kernel_generator")
    logits = np.tensordot(key * query, generator["kernel"], 2)
    kernels = softmax(logits + generator["bias"])
    values = dense(x, **part(weights, "value")) * mask[..., None, None]
    flat = values.reshape(*x.shape[:2], -1)
    return dynamic_conv(flat, kernels).reshape(values.shape), kernels


def mixed_attention(weights, x, mask=None, pairs=None, conv_mask=None):
    """Returns outputs, scores and kernels; `conv_mask` is for the spans."""
    query, key, value = (
        dense(x, **part(weights, name)) for name in ("query", "key", "value")
    )
    logits = np.einsum("bthr,bshr->bhts", query, key)
    logits = logits / math.sqrt(query.shape[-1])
    if mask is not None:
        logits = np.where(mask[:, None, None, :], logits, -1e9)
    if pairs is not None:
        logits = np.where(pairs[:, None], logits, -1e9)
    scores = softmax(logits)
    heads, kernels = np.einsum("bhts,bshr->bthr", scores, value), None
    if "span_conv/depthwise_kernel" in weights:
        spans, kernels = span_conv(
            part(weights, "span_conv"), x, query, conv_mask
        )
        heads = np.concatenate([heads, spans], axis=2)
    output = part(weights, "output_projection")
    outputs = np.tensordot(heads, output["kernel"], 2) + output["bias"]
    return outputs, scores, kernels


def encoder_block(weights, x, mask=None, conv_mask=None):
    mixed = mixed_attention(
        part(weights, "mixed_attention"), x, mask, conv_mask=conv_mask
    )[0]
    y = layer_norm(x + mixed, **part(weights, "attention_layer_norm"))
    if "intermediate/blocks/kernel" in weights:
        inner = grouped_dense(y, **part(weights, "intermediate/blocks"))
        outer = grouped_dense(
            gelu(inner), **part(weights, "output_dense/blocks")
        )
    else:
        inner = dense(y, **part(weights, "intermediate"))
        outer = dense(gelu(inner), **part(weights, "output_dense"))
    return layer_norm(y + outer, **part(weights, "output_layer_norm"))
