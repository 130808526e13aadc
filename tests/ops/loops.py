"""The operators as plain loops in float64, which the tests compare with.

Written from equations 3 to 5 of "Pay Less Attention with Lightweight and
Dynamic Convolutions"; gradients of `sum(y * g)` are derived by hand.
"""

import numpy as np


def left_padding(taps, padding):
    return taps - 1 if padding == "causal" else (taps - 1) // 2


def dynamic_conv1d(values, kernels, padding, upstream):
    values, kernels, upstream = (
        np.asarray(a, "float64") for a in (values, kernels, upstream)
    )
    batch, length, channels = values.shape
    heads, taps = kernels.shape[2:]
    left = left_padding(taps, padding)
    outputs = np.zeros_like(values)
    values_gradient = np.zeros_like(values)
    kernels_gradient = np.zeros_like(kernels)
    for b in range(batch):
        for t in range(length):
            for d in range(channels):
                head = d // (channels // heads)
                for k in range(taps):
                    source = t + k - left
                    if not 0 <= source < length:
                        continue
                    weight = kernels[b, t, head, k]
                    outputs[b, t, d] += weight * values[b, source, d]
                    values_gradient[b, source, d] += weight * upstream[b, t, d]
                    kernels_gradient[b, t, head, k] += (
                        values[b, source, d] * upstream[b, t, d]
                    )
    return outputs, [values_gradient, kernels_gradient]


def lightweight_conv1d(values, kernel, padding, upstream):
    batch, length, _ = values.shape
    kernels = np.broadcast_to(kernel, (batch, length, *kernel.shape))
    outputs, (values_gradient, kernels_gradient) = dynamic_conv1d(
        values, kernels, padding, upstream
    )
    return outputs, [values_gradient, kernels_gradient.sum((0, 1))]


def depthwise_conv1d(inputs, kernel, padding, upstream):
    outputs, (inputs_gradient, kernel_gradient) = lightweight_conv1d(
        inputs, kernel.T, padding, upstream
    )
    return outputs, [inputs_gradient, kernel_gradient.T]
