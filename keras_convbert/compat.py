"""Every touch of private modules of KerasHub, and eight of Keras.

So that one place can break.
"""

import sys
from typing import Any

import keras
from keras.src.backend import get_keras_mask
from keras.src.callbacks.callback_list import CallbackList
from keras.src.random.seed_generator import global_seed_generator
from keras.src.saving import saving_lib
from keras.src.saving.saving_lib import H5IOStore
from keras.src.saving.serialization_lib import ObjectSharingScope
from keras.src.saving.serialization_lib import SafeModeScope
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from keras.src.trainers.epoch_iterator import EpochIterator
from keras_hub.src.layers.preprocessing.preprocessing_layer import (
    PreprocessingLayer,
)
from keras_hub.src.utils.pipeline_model import (
    _apply_preprocessing as apply_preprocessing,
)
from keras_hub.src.utils.preset_utils import KerasPresetLoader
from keras_hub.src.utils.preset_utils import check_file_exists
from keras_hub.src.utils.preset_utils import get_file
from keras_hub.src.utils.python_utils import classproperty
from keras_hub.src.utils.tensor_utils import canonicalize_python_string_inputs
from keras_hub.src.utils.tensor_utils import (
    convert_preprocessing_outputs_python,
)
from keras_hub.src.utils.tensor_utils import preprocessing_function
from keras_hub.src.utils.tensor_utils import restore_outer_shape

__all__ = [
    "CallbackList",
    "DataAdapter",
    "EpochIterator",
    "H5IOStore",
    "KerasPresetLoader",
    "ObjectSharingScope",
    "PreprocessingLayer",
    "PyDatasetAdapter",
    "SafeModeScope",
    "apply_preprocessing",
    "canonicalize_python_string_inputs",
    "check_file_exists",
    "classproperty",
    "convert_preprocessing_outputs_python",
    "find_in_callers",
    "get_file",
    "get_keras_mask",
    "global_seed_generator",
    "load_state",
    "preprocessing_function",
    "restore_outer_shape",
    "save_state",
    "without_autotune",
]


def find_in_callers(kind: type, name: str) -> Any:
    """The object of a class that the nearest caller has under a name.

    Keras gives a callback neither the other callbacks nor the data.

    Returns:
        The object, or `None` if no caller has one.
    """
    frame = sys._getframe(1)
    while frame is not None:
        value = frame.f_locals.get(name)
        if isinstance(value, kind):
            return value
        frame = frame.f_back  # type: ignore[assignment]
    return None


def save_state(
    model: keras.Model, weights: H5IOStore, skipped: Any = ()
) -> None:
    """Gives `weights` what `save_weights` writes, without `skipped`."""
    saving_lib._save_state(
        model,
        weights_store=weights,
        assets_store=None,
        inner_path="",
        visited_saveables={id(layer) for layer in skipped},
    )


def load_state(
    model: keras.Model, weights: str | None = None, assets: str | None = None
) -> None:
    """Loads a file of weights, or a folder of assets, as `load_model` does."""
    failed: set[int] = set()
    errors: dict[int, Any] = {}
    weights_store = None if weights is None else H5IOStore(weights)
    try:
        saving_lib._load_state(
            model,
            weights_store=weights_store,
            assets_store=assets and saving_lib.DiskIOStore(assets, mode="r"),
            inner_path="",
            visited_saveables=set(),
            failed_saveables=failed,
            error_msgs=errors,
        )
    finally:
        if weights_store is not None:
            weights_store.close()
    if failed:
        saving_lib._raise_loading_failure(errors)


def without_autotune(dataset: Any) -> Any:
    """A `tf.data` dataset of batches that Python makes, as it is.

    TensorFlow's tuner has nothing to gain there, and the end of an iterator
    waits for it, as long again as the iterator was used, a minute at most.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
