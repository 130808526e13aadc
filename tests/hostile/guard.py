"""What a load may not do, and what it must leave as it was."""

import contextlib
import os
import pathlib
import site
import sys
import sysconfig
import time

import keras
import numpy as np
from keras.src.backend.common import global_state as keras_state
from keras.src.saving.serialization_lib import in_safe_mode

import keras_convbert

MAX_SECONDS = 5
MAX_BYTES = 200 * 2**20
FORBIDDEN = {
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
}
# Modules are imported when they are first used.
CODE = [
    sys.prefix,
    sys.base_prefix,
    *sysconfig.get_paths().values(),
    *site.getsitepackages(),
    pathlib.Path(keras_convbert.__file__).parent,
    "/proc",
    "/sys",
    "/dev",
    "/usr",
    "/etc/ld.so.cache",
]
_watched = {"folders": None, "found": []}


def _hook(event, arguments):
    folders = _watched["folders"]
    if folders is None:
        return
    if event in FORBIDDEN:
        _watched["found"].append((event, arguments))
    elif event == "open" and isinstance(
        arguments[0], str | bytes | os.PathLike
    ):
        path = pathlib.Path(os.path.realpath(os.fsdecode(arguments[0])))
        if not any(path.is_relative_to(folder) for folder in folders):
            _watched["found"].append((event, path))


sys.addaudithook(_hook)


@contextlib.contextmanager
def nothing_happens(*folders):
    """Fails if code runs, other folders are opened, or global state changes."""
    _watched["folders"] = [os.path.realpath(p) for p in [*CODE, *folders]]
    _watched["found"] = []
    state = global_state()
    resident = _kibibytes("VmRSS")
    _reset_peak()
    began = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - began
        _watched["folders"] = None
    assert _watched["found"] == []
    assert global_state() == state
    assert seconds < MAX_SECONDS
    assert (_kibibytes("VmHWM") - resident) * 1024 < MAX_BYTES


def global_state():
    return (
        keras.config.dtype_policy().name,
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.backend(),
        in_safe_mode(),
        {**keras.saving.get_custom_objects()},
    )


def forget_unsafe_mode():
    keras_state.set_global_attribute("safe_mode_saving", None)


def weights_of(model):
    return {w.path: keras.ops.convert_to_numpy(w) for w in model.weights}


def assert_same_weights(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], name)


def _reset_peak():
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def _kibibytes(name):
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = status.read_text().splitlines()
    return int(next(line.split()[1] for line in lines if name in line))
