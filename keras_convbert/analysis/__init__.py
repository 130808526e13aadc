"""Cost of a model: parameters, FLOPs and activations per layer."""

from keras_convbert.analysis.cost_table import Profile
from keras_convbert.analysis.profile import profile

__all__ = ["Profile", "profile"]
