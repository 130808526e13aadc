"""Terms computed one after the other, so that few are held at a time.

TensorFlow's graph computes all that is ready, and adds a sum's terms at once.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import keras

from keras_convbert.types import Tensor


def sequential_sum(term: Callable[[int], Tensor], count: int) -> Tensor:
    """The sum of `term(k)`, of which one is held beside it."""
    total = term(0)
    for k in range(1, count):
        with _after(total):
            total = total + term(k)
    return total


def sequential_map(term: Callable[[int], Tensor], count: int) -> list[Tensor]:
    """Each `term(k)`, begun when the one before is done."""
    terms = [term(0)]
    for k in range(1, count):
        with _after(terms[-1]):
            terms.append(term(k))
    return terms


def _after(tensor: Tensor) -> contextlib.AbstractContextManager[Any]:
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.control_dependencies([tensor])
