import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import keras

from keras_convbert.checkpoints import random_state
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.keras_h5 import load_validated
from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import flatten_layers
from keras_convbert.files import write_text
from keras_convbert.types import Config
from keras_convbert.types import Mixin

TRAINING_FILE = "training.json"


class TrainingState(Mixin):
    """Saves state besides weights, so that `.keras` files resume training."""

    def compile_from_config(self, config: Config) -> None:
        """Compiles as saved; Keras skips this if `compile` is overridden.

        Args:
            config: dict that `get_compile_config` returned.
        """
        with safe_loading():
            arguments: Any = keras.saving.deserialize_keras_object(config)
        self.compile(**arguments)

    def training_flags(self) -> Config:
        """Returns what `.keras` files also save, besides `compile`."""
        return {}

    def set_training_flags(self, flags: Config) -> None:
        """Sets what `training_flags` returned when the file was saved.

        Args:
            flags: dict, which may hold other keys.
        """

    def save_assets(self, dir_path: str) -> None:
        """Writes the state of training to a `.keras` file.

        Args:
            dir_path: string. Path of a folder.
        """
        random_state.save_random_state(self, dir_path)
        optimizer = self.optimizer if self.compiled else None
        # A file holds weights with LoRA merged, which cannot resume training.
        lora = any(
            getattr(layer, "lora_enabled", False)
            for layer in flatten_layers(self)
        )
        state = {
            **self.training_flags(),
            "optimizer_built": bool(optimizer and optimizer.built) and not lora,
            "frozen_layers": [
                path
                for path, layer in random_state.layers_by_path(self).items()
                if not layer.trainable
            ],
        }
        write_text(os.path.join(dir_path, TRAINING_FILE), json.dumps(state))

    def load_assets(self, dir_path: str) -> None:
        """Reads the state of training, before the weights of the optimizer.

        Args:
            dir_path: string. Path of a folder, which may lack the state.

        Raises:
            CheckpointError: if the state is damaged.
        """
        path = os.path.join(dir_path, TRAINING_FILE)
        if not os.path.exists(path):
            return
        state = read_json(path)
        frozen = state.get("frozen_layers")
        if not isinstance(frozen, list):
            raise CheckpointError(
                f"Expected {path!r} to hold a list `frozen_layers`. "
                f"Received: frozen_layers={frozen!r}"
            )
        for name, layer in random_state.layers_by_path(self).items():
            # Parents come first, since they also set their children.
            layer.trainable = name not in frozen
        self.set_training_flags(state)
        if state.get("optimizer_built") and self.optimizer:
            self.optimizer.build(self.trainable_variables)
        random_state.load_random_state(self, dir_path)

    def save_task_weights(self, filepath: Any) -> None:
        """Writes the weights of the head to a preset.

        KerasHub would also write the optimizer state of the whole model.

        Args:
            filepath: path of the file. It must end in `.weights.h5`.
        """
        with self._without_optimizer():
            super().save_task_weights(filepath)

    def load_task_weights(self, filepath: Any) -> None:
        """Loads the weights of the head from a preset.

        Args:
            filepath: path of the file. It must end in `.weights.h5`.

        Raises:
            CheckpointError: if the file is damaged or does not fit the task.
        """
        load = super().load_task_weights
        with self._without_optimizer():
            load_validated(
                self,
                [filepath],
                lambda: load(filepath),
                skipped=flatten_layers(self.backbone),
            )

    @contextlib.contextmanager
    def _without_optimizer(self) -> Iterator[None]:
        if not self.compiled:
            yield
            return
        optimizer: Any = self.optimizer
        self.optimizer: Any = None
        try:
            yield
        finally:
            self.optimizer = optimizer
