"""ConvBERT, lightweight and dynamic convolutions for Keras 3."""

from keras_convbert.version import __version__
