"""What a model costs: parameters, FLOPs and activations, layer by layer."""

from keras_convbert.analysis.cost_table import Profile
from keras_convbert.analysis.profile import profile

__all__ = ["Profile", "profile"]
