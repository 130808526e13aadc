"""What every task adds, so that a `.keras` file goes on where it stopped.

They are functions that a task takes over by name: a common base class would
come before KerasHub's in the list of bases, and be taken for the task's kind
in the metadata of a preset.
"""

import os
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints import random_state
from keras_convbert.types import Config


def compile_from_config(task: keras_hub.models.Task, config: Config) -> None:
    """Compiles as it was; Keras declines, as tasks override `compile`."""
    arguments: dict[str, Any] = keras.saving.deserialize_keras_object(config)
    task.compile(**arguments)
    if task.optimizer is not None:
        task.optimizer.build(task.trainable_variables)


def save_assets(task: keras_hub.models.Task, dir_path: str) -> None:
    """Writes the state of the random generators; of `.keras` files alone."""
    random_state.save_random_state(task, dir_path)


def load_assets(task: keras_hub.models.Task, dir_path: str) -> None:
    """Reads it, where the file has one."""
    if os.path.exists(os.path.join(dir_path, random_state.FILE_NAME)):
        random_state.load_random_state(task, dir_path)
