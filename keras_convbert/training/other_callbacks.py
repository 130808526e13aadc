"""What the other callbacks of a training have noted."""

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

# What `fit` gives to each.
GIVEN = {"params", "model", "_model"}
# Keras turns its sign when a callback is first asked, and again when one that
# was resumed is.
TURNED = {"min_delta"}


class OtherCallbacks:
    """The best so far, what is left of patience, the history, and the like.

    That is each attribute that has changed since the training began and is
    data. What was chosen in the script is not taken for it, and may be
    chosen anew.
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
        """What has changed, as JSON and as arrays."""
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
        """Puts that back."""
        for name, attributes in state.items():
            if attributes and name not in self._callbacks:
                warnings.warn(
                    f"The checkpoint holds what a {name.split(':')[0]!r} had "
                    "noted, and there is no such callback now.",
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
        if key in GIVEN | TURNED:
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
