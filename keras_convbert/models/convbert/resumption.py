"""What every task adds, so that a `.keras` file goes on where it stopped.

They are functions that a task takes over by name: a common base class would
come before KerasHub's in the list of bases, and be taken for the task's kind
in the metadata of a preset.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints import random_state
from keras_convbert.types import Config


def get_compile_config(task: keras_hub.models.Task) -> Config:
    """How the task was compiled, and what of it is in training."""
    config = keras.Model.get_compile_config(task)
    if config:
        optimizer = task.optimizer
        config["optimizer_built"] = bool(optimizer and optimizer.built)
        config["frozen_layers"] = [
            path
            for path, layer in random_state.layers_by_path(task).items()
            if not layer.trainable
        ]
    return config


def compile_from_config(task: keras_hub.models.Task, config: Config) -> None:
    """Compiles as it was; Keras declines, as tasks override `compile`."""
    config = dict(config)
    optimizer_built = config.pop("optimizer_built")
    frozen_layers = config.pop("frozen_layers")
    arguments: dict[str, Any] = keras.saving.deserialize_keras_object(config)
    for path, layer in random_state.layers_by_path(task).items():
        # Parents come first: what they set for their children is set anew.
        layer.trainable = path not in frozen_layers
    task.compile(**arguments)
    if optimizer_built:
        task.optimizer.build(task.trainable_variables)


def save_assets(task: keras_hub.models.Task, dir_path: str) -> None:
    """Writes the state of the random generators; of `.keras` files alone."""
    random_state.save_random_state(task, dir_path)


def load_assets(task: keras_hub.models.Task, dir_path: str) -> None:
    """Reads it, where the file has one."""
    if os.path.exists(os.path.join(dir_path, random_state.FILE_NAME)):
        random_state.load_random_state(task, dir_path)


def save_task_weights(task: keras_hub.models.Task, filepath: Any) -> None:
    """Writes the weights of the head to a preset.

    KerasHub writes those of the optimizer too, for the backbone as well.
    """
    with _without_optimizer(task):
        keras_hub.models.Task.save_task_weights(task, filepath)


def load_task_weights(task: keras_hub.models.Task, filepath: Any) -> None:
    """Reads them."""
    with _without_optimizer(task):
        keras_hub.models.Task.load_task_weights(task, filepath)


@contextlib.contextmanager
def _without_optimizer(task: keras_hub.models.Task) -> Iterator[None]:
    if not task.compiled:
        yield
        return
    optimizer, task.optimizer = task.optimizer, None
    try:
        yield
    finally:
        task.optimizer = optimizer
