"""Every touch of private modules of KerasHub, and three of Keras.

So that one place can break.
"""

from keras.src.backend import get_keras_mask
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from keras_hub.src.layers.preprocessing.preprocessing_layer import (
    PreprocessingLayer,
)
from keras_hub.src.utils.pipeline_model import (
    _apply_preprocessing as apply_preprocessing,
)
from keras_hub.src.utils.preset_utils import check_file_exists
from keras_hub.src.utils.preset_utils import get_file
from keras_hub.src.utils.preset_utils import load_json
from keras_hub.src.utils.python_utils import classproperty
from keras_hub.src.utils.tensor_utils import canonicalize_python_string_inputs
from keras_hub.src.utils.tensor_utils import (
    convert_preprocessing_outputs_python,
)
from keras_hub.src.utils.tensor_utils import preprocessing_function
from keras_hub.src.utils.tensor_utils import restore_outer_shape

__all__ = [
    "DataAdapter",
    "PreprocessingLayer",
    "PyDatasetAdapter",
    "apply_preprocessing",
    "canonicalize_python_string_inputs",
    "check_file_exists",
    "classproperty",
    "convert_preprocessing_outputs_python",
    "get_file",
    "get_keras_mask",
    "load_json",
    "preprocessing_function",
    "restore_outer_shape",
]
