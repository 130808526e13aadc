import functools
import os

import filelock
import keras
import pytest

from keras_convbert.export import export_saved_model
from tests.export import tiny


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder of the run, for what all workers read and one of them makes."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


@pytest.fixture(scope="session")
def exported(shared_folder):
    """From a name in `tiny.MODELS`, the model and its folder."""
    root = shared_folder

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
