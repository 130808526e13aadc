"""One run tests one backend, the one that `KERAS_BACKEND` names."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if os.environ["KERAS_BACKEND"] == "torch":
    import torch  # noqa: F401  (imported after TensorFlow it may crash)

import keras
import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", help="run the tests marked long too"
    )


def pytest_collection_modifyitems(config, items):
    backend = os.environ["KERAS_BACKEND"]
    kept, dropped = [], []
    for item in items:
        unwanted = (
            "long" in item.keywords and not config.getoption("--long")
        ) or ("once" in item.keywords and backend != "tensorflow")
        (dropped if unwanted else kept).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


@pytest.fixture(autouse=True)
def _fresh_state():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session()
