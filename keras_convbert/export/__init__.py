"""Exports models to the formats of servers and other runtimes."""

from keras_convbert.export.formats import export_litert
from keras_convbert.export.formats import export_onnx
from keras_convbert.export.formats import export_openvino
from keras_convbert.export.formats import export_torch
from keras_convbert.export.saved_model import export_saved_model

__all__ = [
    "export_litert",
    "export_onnx",
    "export_openvino",
    "export_saved_model",
    "export_torch",
]
