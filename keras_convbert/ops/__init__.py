"""Pure functions on tensors: the operators that the layers are made of."""

from keras_convbert.ops.depthwise_conv import depthwise_conv1d
from keras_convbert.ops.dynamic_conv import dynamic_conv1d
from keras_convbert.ops.dynamic_conv import lightweight_conv1d

__all__ = ["depthwise_conv1d", "dynamic_conv1d", "lightweight_conv1d"]
