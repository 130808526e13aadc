"""Pure functions on tensors: the operators that the layers are made of.

Letters: B batch, T length, D hidden width, H heads, R features per head
(D = H * R), K taps, V vocabulary.
"""

from keras_convbert.ops.depthwise_conv import depthwise_conv1d
from keras_convbert.ops.dynamic_conv import dynamic_conv1d
from keras_convbert.ops.lightweight_conv import lightweight_conv1d

__all__ = ["depthwise_conv1d", "dynamic_conv1d", "lightweight_conv1d"]
