"""Weights that need no random values, since they are loaded next."""

import contextlib
import contextvars
import functools
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
from keras.src.initializers.random_initializers import RandomInitializer

_is_skipped = contextvars.ContextVar("is_skipped", default=False)


@contextlib.contextmanager
def without_random_values() -> Iterator[None]:
    """Creates weights as zeros where they would be random.

    Random values take most of the time of building a large model on PyTorch.
    Only the code inside sees zeros; models that other threads build do not.
    Whoever uses it loads all weights, or discards the model.
    """
    _install()
    token = _is_skipped.set(True)
    try:
        yield
    finally:
        _is_skipped.reset(token)


@functools.cache
def _install() -> None:
    """Lets the random initializers of Keras look at `_is_skipped`.

    Layers copy their initializers, and files name their classes, so that
    instances of another class would not do.
    """
    for cls in vars(keras.initializers).values():
        if (
            isinstance(cls, type)
            and issubclass(cls, RandomInitializer)
            and "__call__" in vars(cls)
        ):
            cls.__call__ = _skippable(  # type: ignore[method-assign]
                cls.__call__
            )


def _skippable(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def __call__(self: Any, shape: Any, dtype: Any = None) -> Any:
        if _is_skipped.get():
            return keras.ops.zeros(shape, dtype)
        return call(self, shape, dtype)

    return __call__
