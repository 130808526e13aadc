"""Every touch of KerasHub's private modules, so that one place can break."""

from keras_hub.src.layers.preprocessing.preprocessing_layer import (
    PreprocessingLayer,
)
from keras_hub.src.utils.pipeline_model import (
    _apply_preprocessing as apply_preprocessing,
)
from keras_hub.src.utils.tensor_utils import canonicalize_python_string_inputs
from keras_hub.src.utils.tensor_utils import preprocessing_function
from keras_hub.src.utils.tensor_utils import restore_outer_shape

__all__ = [
    "PreprocessingLayer",
    "apply_preprocessing",
    "canonicalize_python_string_inputs",
    "preprocessing_function",
    "restore_outer_shape",
]
