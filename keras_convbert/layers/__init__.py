"""Layers for any Keras model.

Letters: B batch, T length, D hidden width, H heads, R features per head,
K taps.
"""

from keras_convbert.layers.convbert_encoder_block import ConvBertEncoderBlock
from keras_convbert.layers.dynamic_conv1d import DynamicConv1D
from keras_convbert.layers.grouped_dense import GroupedDense
from keras_convbert.layers.lightweight_conv1d import LightweightConv1D
from keras_convbert.layers.mixed_attention import MixedAttention
from keras_convbert.layers.span_based_dynamic_conv1d import (
    SpanBasedDynamicConv1D,
)

__all__ = [
    "ConvBertEncoderBlock",
    "DynamicConv1D",
    "GroupedDense",
    "LightweightConv1D",
    "MixedAttention",
    "SpanBasedDynamicConv1D",
]
