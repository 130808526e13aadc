import functools
import os

import filelock
import keras
import pytest

from keras_convbert.export import export_saved_model
from tests.export import tiny


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """From a name in `tiny.MODELS`, the model and its folder.

    Workers share the folders, each of which takes seconds to write.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    @functools.cache
    def export(name):
        keras.utils.set_random_seed(0)
        model = tiny.MODELS[name]()
        labels = tiny.LABELS if name == "classifier" else None
        folder = root / "models" / name
        with filelock.FileLock(f"{root / name}.lock"):
            if not (folder / "1").exists():
                export_saved_model(model, folder, labels=labels, verbose=False)
        return model, folder / "1"

    return export


@pytest.fixture(scope="session")
def served(exported):
    """From a name in `tiny.MODELS`, the model and what TensorFlow loads."""
    import tensorflow as tf

    @functools.cache
    def load(name):
        model, path = exported(name)
        return model, tf.saved_model.load(path)

    return load
