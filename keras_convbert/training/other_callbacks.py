"""The state of the other callbacks."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_convbert.training.plain_state import Arrays
from keras_convbert.training.plain_state import NotPlainError
from keras_convbert.training.plain_state import decode
from keras_convbert.training.plain_state import encode
from keras_convbert.types import Config

# Attributes that `fit` sets.
GIVEN = {"params", "model", "_model"}
# Keras flips its sign at the start of `fit`, and would flip it again after
# resuming.
FLIPPED = {"min_delta"}


class OtherCallbacks:
    """Saves and restores what callbacks record, such as the best value.

    That is every attribute that has changed since the start of training and
    is plain data. Settings of the script do not change, so they are not saved,
    and a resumed script may have others.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        self._callbacks: dict[str, keras.callbacks.Callback] = {}
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.ProgbarLogger):
                continue
            kind = type(callback).__name__
            number = sum(name.split(":")[0] == kind for name in self._callbacks)
            self._callbacks[f"{kind}:{number}"] = callback
        self._first = {
            name: _attributes(callback, name)
            for name, callback in self._callbacks.items()
        }

    def get_state(self) -> tuple[Config, Arrays]:
        """Returns the changed attributes, as JSON values and arrays."""
        state: Config = {}
        arrays: Arrays = {}
        for name, callback in self._callbacks.items():
            state[name] = {}
            for key, new in _attributes(callback, name).items():
                if not _equal(new, self._first[name].get(key)):
                    state[name][key] = new[0]
                    arrays.update(new[1])
        return state, arrays

    def set_state(self, state: Config, arrays: Arrays) -> None:
        """Sets the attributes that `get_state` returned."""
        for name, attributes in state.items():
            if attributes and name not in self._callbacks:
                warnings.warn(
                    "The checkpoint has the state of a callback that `fit` "
                    f"does not have now: {name.split(':')[0]!r}",
                    stacklevel=2,
                )
                continue
            for key, content in attributes.items():
                setattr(self._callbacks[name], key, decode(content, arrays))


Encoded = tuple[Any, Arrays]


def _attributes(
    callback: keras.callbacks.Callback, prefix: str
) -> dict[str, Encoded]:
    encoded: dict[str, Encoded] = {}
    for key, value in vars(callback).items():
        arrays: Arrays = {}
        if key in GIVEN | FLIPPED:
            continue
        try:
            content = encode(value, f"{prefix}/{key}", arrays)
        except NotPlainError:
            continue
        encoded[key] = content, arrays
    return encoded


def _equal(one: Encoded, other: Encoded | None) -> bool:
    return (
        other is not None
        and one[0] == other[0]
        and all(
            np.array_equal(array, other[1][name])
            for name, array in one[1].items()
        )
    )
