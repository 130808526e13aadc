"""Models in the formats that servers run."""

from keras_convbert.export.saved_model import export_saved_model

__all__ = ["export_saved_model"]
