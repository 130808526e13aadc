"""Convolution with one kernel per position and head, in four formulations.

`naive` is the readable form and the reference of the others; `dispatch` says
which formulation runs where.
"""

from keras_convbert.ops.dynamic_conv.dynamic_conv import dynamic_conv1d
from keras_convbert.ops.dynamic_conv.dynamic_conv import dynamic_conv_of_heads

__all__ = ["dynamic_conv1d", "dynamic_conv_of_heads"]
