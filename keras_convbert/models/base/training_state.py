"""What every task adds, so that a `.keras` file goes on where it stopped."""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints import random_state
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.keras_h5 import load_validated
from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.files import write_text
from keras_convbert.types import Config

TRAINING_FILE = "training.json"


def compile_from_config(task: keras_hub.models.Task, config: Config) -> None:
    """Compiles as it was; Keras declines, as tasks override `compile`."""
    with safe_loading():
        arguments: Any = keras.saving.deserialize_keras_object(config)
    task.compile(**arguments)


def save_assets(task: keras_hub.models.Task, dir_path: str) -> None:
    """Writes what a task in training has beside weights; to `.keras` alone."""
    random_state.save_random_state(task, dir_path)
    optimizer = task.optimizer if task.compiled else None
    # LoRA is merged into the weights of a file, and cannot go on there.
    lora = any(
        getattr(layer, "lora_enabled", False)
        for layer in task._flatten_layers()
    )
    state = {
        "optimizer_built": bool(optimizer and optimizer.built) and not lora,
        "frozen_layers": [
            path
            for path, layer in random_state.layers_by_path(task).items()
            if not layer.trainable
        ],
    }
    write_text(os.path.join(dir_path, TRAINING_FILE), json.dumps(state))


def load_assets(task: keras_hub.models.Task, dir_path: str) -> None:
    """Reads it, where there is any; before the weights of the optimizer.

    Raises:
        CheckpointError: if it is damaged.
    """
    path = os.path.join(dir_path, TRAINING_FILE)
    if not os.path.exists(path):
        return
    state = read_json(path)
    frozen = state.get("frozen_layers")
    if not isinstance(frozen, list):
        raise CheckpointError(
            f"Expected {path!r} to hold a list `frozen_layers`."
        )
    for name, layer in random_state.layers_by_path(task).items():
        # Parents come first: what they set for their children is set anew.
        layer.trainable = name not in frozen
    if state.get("optimizer_built") and task.optimizer:
        task.optimizer.build(task.trainable_variables)
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
        load_validated(
            task,
            [filepath],
            lambda: keras_hub.models.Task.load_task_weights(task, filepath),
            skipped=task.backbone._flatten_layers(),
        )


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
