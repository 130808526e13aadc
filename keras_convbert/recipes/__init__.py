"""What takes several parts of the library; the command line calls these."""

from keras_convbert.recipes.convert_checkpoint import convert_checkpoint
from keras_convbert.recipes.export_model import export_model
from keras_convbert.recipes.inspect_checkpoint import inspect_checkpoint

__all__ = ["convert_checkpoint", "export_model", "inspect_checkpoint"]
