"""One run tests one backend, the one that `KERAS_BACKEND` names."""

import gc
import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests make the same small models again and again, in several processes, and
# spend more time on compiling them than on running them. Without the fusion
# emitters, XLA compiles in half the time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1 "
    "--xla_cpu_prefer_vector_width=128",
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


def is_wanted(item):
    """Whether this run includes the test, by its markers."""
    backend = os.environ["KERAS_BACKEND"]
    if item.get_closest_marker("once") and backend != "tensorflow":
        return False
    if item.config.getoption("--long"):
        return True
    if item.get_closest_marker("long"):
        return False
    one_backend = item.get_closest_marker("one_backend")
    return not one_backend or one_backend.args[0] == backend


def pytest_collection_modifyitems(config, items):
    kept, dropped = [], []
    for item in items:
        (kept if is_wanted(item) else dropped).append(item)
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def pytest_collection_finish(session):
    # Modules stay: the collector need not look at them after each test. Tracing
    # makes many objects that stay too: the collector runs less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk():
    """The files of a test need not survive a power failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True)
def _seed_and_policy():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="module")
def _fresh_names():
    yield
    keras.backend.clear_session()
