import contextlib
from collections.abc import Iterator

import keras

from keras_convbert.compat import SafeModeScope


@contextlib.contextmanager
def safe_loading() -> Iterator[None]:
    """Keras's safe mode, whatever was set; global state as it was before."""
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
