"""One run tests one backend, the one that `KERAS_BACKEND` names."""

import gc
import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests make the same small models again and again, in several processes, and
# spend more time on compiling them than on running them.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true",
)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    os.path.join(tempfile.gettempdir(), f"keras_convbert_jax_{os.getuid()}"),
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

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
            item.get_closest_marker("long") and not config.getoption("--long")
        ) or (item.get_closest_marker("once") and backend != "tensorflow")
        (dropped if unwanted else kept).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def pytest_collection_finish(session):
    # Modules stay: the collector need not look at them after each test.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seed_and_policy():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="module")
def _fresh_names():
    yield
    keras.backend.clear_session()
