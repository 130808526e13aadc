"""Terms computed one after the other, so that few are in memory at a time.

A TensorFlow graph would compute all terms that are ready, and only then add
them.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import keras

from keras_convbert.types import Tensor


def sequential_sum(term: Callable[[int], Tensor], count: int) -> Tensor:
    """Returns the sum of `term(k)`, with one term in memory at a time."""
    total = term(0)
    for k in range(1, count):
        with _after(total):
            total = total + term(k)
    return total


def sequential_map(term: Callable[[int], Tensor], count: int) -> list[Tensor]:
    """Returns every `term(k)`, each computed after the previous one."""
    terms = [term(0)]
    for k in range(1, count):
        with _after(terms[-1]):
            terms.append(term(k))
    return terms


def _after(tensor: Tensor) -> contextlib.AbstractContextManager[Any]:
    """A context whose TensorFlow operations wait for `tensor`."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.control_dependencies([tensor])
