import os
from typing import Any

import keras

from keras_convbert.checkpoints.keras_h5 import load_validated
from keras_convbert.checkpoints.plain_names import plain_name
from keras_convbert.checkpoints.shard_index import read_weight_map
from keras_convbert.checkpoints.shard_index import shard_names
from keras_convbert.files import AnyPath
from keras_convbert.types import Mixin


class CheckedWeights(Mixin):
    """`load_weights` that loads a whole file or nothing."""

    def load_weights(
        self, filepath: AnyPath, skip_mismatch: bool = False, **kwargs: Any
    ) -> None:
        """Loads weights; an error leaves the weights unchanged.

        A `.weights.h5` file, or shards listed in `.weights.json`, are checked
        before any array is loaded. Keras loads other files without checks.

        Args:
            filepath: path of the file.
            skip_mismatch: bool. Whether to skip layers whose arrays have
                different shapes. Defaults to `False`.
            **kwargs: arguments of `keras.Model.load_weights`.

        Raises:
            CheckpointError: if a file is damaged, does not fit the model, or
                holds NaN or infinity. It is a `ValueError`, and names the
                file.
        """

        def load() -> None:
            keras.Model.load_weights(
                self, filepath, skip_mismatch=skip_mismatch, **kwargs
            )

        files, weight_map = _files(filepath)
        if not files:
            load()
            return
        load_validated(
            self,
            files,
            load,
            skipped=kwargs.get("objects_to_skip") or (),
            skip_mismatch=skip_mismatch,
            weight_map=weight_map,
        )


def _files(filepath: AnyPath) -> tuple[list[AnyPath], dict[str, Any] | None]:
    """Returns the files to check, and the weight map of an index file."""
    path = os.fspath(filepath)
    # Keras fetches remote files itself.
    if not os.path.exists(path):
        return [], None
    if path.endswith(".weights.h5"):
        return [path], None
    if path.endswith(".weights.json"):
        weight_map = read_weight_map(path)
        folder = os.path.dirname(path) or "."
        names = shard_names(weight_map)
        return [plain_name(folder, name) for name in names], weight_map
    return [], None
