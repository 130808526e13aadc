"""ConvBERT, lightweight and dynamic convolutions for Keras 3."""

import keras_convbert.check_requirements
from keras_convbert import analysis
from keras_convbert import config
from keras_convbert import data
from keras_convbert import export
from keras_convbert import layers
from keras_convbert import models
from keras_convbert import ops
from keras_convbert import training
from keras_convbert.models.load_model import load_model
from keras_convbert.version import __version__

__all__ = [
    "__version__",
    "analysis",
    "config",
    "data",
    "export",
    "layers",
    "load_model",
    "models",
    "ops",
    "training",
]
