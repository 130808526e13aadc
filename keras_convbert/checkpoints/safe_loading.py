import contextlib
from collections.abc import Iterator

import keras

from keras_convbert.compat import SafeModeScope


@contextlib.contextmanager
def safe_loading() -> Iterator[None]:
    """Turns on safe mode of Keras, and restores global settings after it."""
    policy = keras.config.dtype_policy()
    floatx = keras.config.floatx()
    with SafeModeScope(True):
        try:
            yield
        finally:
            if keras.config.floatx() != floatx:
                keras.config.set_floatx(floatx)
            if keras.config.dtype_policy() is not policy:
                keras.config.set_dtype_policy(policy)
