"""The private functions that write and read a model."""

from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.saving import saving_lib
from keras.src.saving.saving_lib import H5IOStore


def is_saving_model() -> bool:
    """Whether Keras is writing, or reading, the config of a `.keras` file."""
    scope = global_state.get_global_attribute("shared_objects/id_to_config_map")
    return scope is not None


def save_state(
    model: keras.Model, weights: H5IOStore, skipped: Any = ()
) -> None:
    """Writes the weights of a model to a store, as `save_weights` does.

    Args:
        model: the model.
        weights: an open `H5IOStore`.
        skipped: iterable of layers whose weights are left out. Defaults to
            `()`.
    """
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
    """Loads a weights file, or a folder of assets, as `load_model` does."""
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
