"""Finds weights that are no longer finite."""

import math
from collections.abc import Iterable

import keras
import numpy as np

from keras_convbert.training.per_backend import make_total
from keras_convbert.training.per_backend import synchronize


class FiniteWeights:
    """Checks the weights of a model after each step.

    The loss does not show them: `relu` on TensorFlow turns NaN into 0.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._total = make_total(model)

    def check_step(self) -> None:
        """Raises `FloatingPointError` if a trained weight is not finite."""
        if not math.isfinite(self._total()):
            synchronize(self._model)
            self.check(self._model.trainable_variables)

    def check(self, variables: Iterable[keras.Variable]) -> None:
        """Raises `FloatingPointError` if one of `variables` is not finite."""
        bad = [v.path for v in variables if not _is_finite(v)]
        if bad:
            raise FloatingPointError(
                f"{bad[0]!r} holds NaN or infinity, the first of {len(bad)} "
                "such weights, after step "
                f"{int(self._model.optimizer.iterations)}. Training stops "
                "without saving this step; earlier checkpoints remain."
            )


def _is_finite(variable: keras.Variable) -> bool:
    if not keras.backend.is_float_dtype(variable.dtype):
        return True
    array = keras.ops.convert_to_numpy(variable)
    return bool(np.isfinite(array).all())
