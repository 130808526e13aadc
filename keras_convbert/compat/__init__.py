"""All access to private parts of Keras and KerasHub.

A release that moves or renames one of them breaks this package alone. The
names below are re-exported unchanged; the modules hold functions around
private attributes.
"""

from keras.src.backend import get_keras_mask
from keras.src.callbacks.callback_list import CallbackList
from keras.src.losses.loss import scale_loss_for_distribution
from keras.src.random.seed_generator import global_seed_generator
from keras.src.saving.saving_lib import H5IOStore
from keras.src.saving.serialization_lib import ObjectSharingScope
from keras.src.saving.serialization_lib import SafeModeScope
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.data_adapters.data_adapter_utils import (
    class_weight_to_sample_weights,
)
from keras.src.trainers.data_adapters.generator_data_adapter import (
    GeneratorDataAdapter,
)
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from keras.src.trainers.epoch_iterator import EpochIterator
from keras_hub.src.layers.preprocessing.preprocessing_layer import (
    PreprocessingLayer,
)
from keras_hub.src.utils.pipeline_model import (
    _apply_preprocessing as apply_preprocessing,
)
from keras_hub.src.utils.preset_utils import check_file_exists
from keras_hub.src.utils.preset_utils import get_file
from keras_hub.src.utils.preset_utils import jax_memory_cleanup
from keras_hub.src.utils.python_utils import classproperty
from keras_hub.src.utils.tensor_utils import canonicalize_python_string_inputs
from keras_hub.src.utils.tensor_utils import (
    convert_preprocessing_outputs_python,
)
from keras_hub.src.utils.tensor_utils import preprocessing_function
from keras_hub.src.utils.tensor_utils import restore_outer_shape

from keras_convbert.compat.backends import own_custom_gradient
from keras_convbert.compat.backends import owned_by_dataset
from keras_convbert.compat.backends import set_torch_generators
from keras_convbert.compat.backends import torch_generators
from keras_convbert.compat.backends import weak_method
from keras_convbert.compat.backends import without_autotune
from keras_convbert.compat.cloning import ClonesFromConfig
from keras_convbert.compat.distribution import DistributedBuild
from keras_convbert.compat.fitting import CACHED_EVALUATION
from keras_convbert.compat.fitting import build_for_training
from keras_convbert.compat.fitting import build_optimizer
from keras_convbert.compat.fitting import dataset_of_stream
from keras_convbert.compat.fitting import find_in_callers
from keras_convbert.compat.fitting import is_running
from keras_convbert.compat.fitting import jax_training_state
from keras_convbert.compat.fitting import open_iterator
from keras_convbert.compat.fitting import set_initial_epoch
from keras_convbert.compat.fitting import skip_steps
from keras_convbert.compat.fitting import validation_data
from keras_convbert.compat.initialization import without_random_values
from keras_convbert.compat.installing import missing_tensorflow
from keras_convbert.compat.layers import child_layers
from keras_convbert.compat.layers import flatten_layers
from keras_convbert.compat.layers import lora_layer_numbers
from keras_convbert.compat.layers import lora_rank
from keras_convbert.compat.layers import merge_lora
from keras_convbert.compat.layers import seed_generators
from keras_convbert.compat.layers import was_built
from keras_convbert.compat.saving import is_saving_model
from keras_convbert.compat.saving import load_state
from keras_convbert.compat.saving import save_state

__all__ = [
    "CACHED_EVALUATION",
    "CallbackList",
    "ClonesFromConfig",
    "DataAdapter",
    "DistributedBuild",
    "EpochIterator",
    "GeneratorDataAdapter",
    "H5IOStore",
    "ObjectSharingScope",
    "PreprocessingLayer",
    "PyDatasetAdapter",
    "SafeModeScope",
    "apply_preprocessing",
    "build_for_training",
    "build_optimizer",
    "canonicalize_python_string_inputs",
    "check_file_exists",
    "child_layers",
    "class_weight_to_sample_weights",
    "classproperty",
    "convert_preprocessing_outputs_python",
    "dataset_of_stream",
    "find_in_callers",
    "flatten_layers",
    "get_file",
    "get_keras_mask",
    "global_seed_generator",
    "is_running",
    "is_saving_model",
    "jax_memory_cleanup",
    "jax_training_state",
    "load_state",
    "lora_layer_numbers",
    "lora_rank",
    "merge_lora",
    "missing_tensorflow",
    "open_iterator",
    "own_custom_gradient",
    "owned_by_dataset",
    "preprocessing_function",
    "restore_outer_shape",
    "save_state",
    "scale_loss_for_distribution",
    "seed_generators",
    "set_initial_epoch",
    "set_torch_generators",
    "skip_steps",
    "torch_generators",
    "validation_data",
    "was_built",
    "weak_method",
    "without_autotune",
    "without_random_values",
]
