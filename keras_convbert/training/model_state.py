"""The variables of a model in training."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_convbert.compat import build_for_training
from keras_convbert.training.per_backend import synchronize
from keras_convbert.training.plain_state import Arrays

Variables = dict[str, keras.Variable]


class ModelState:
    """What a step of training changes in a model: weights, seeds, metrics."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def synchronize(self) -> None:
        """Before variables are read: brings them up to the last step."""
        synchronize(self._model)

    def build(self, iterator: Any) -> None:
        """Makes all variables, which on TensorFlow the first step would."""
        build_for_training(self._model, iterator)

    def weights(self) -> list[keras.Variable]:
        """What must be finite: of the model and of its optimizer."""
        return [*self._weights().values()]

    def variables(self) -> Variables:
        """Each variable under a name of its own."""
        return {**self._weights(), **self._metrics()}

    def set_variables(self, arrays: Arrays) -> None:
        """Puts back the variables.

        Raises:
            ValueError: if the model has other variables. It is as it was.
        """
        variables = self.variables()
        saved = {
            name: array.shape
            for name, array in arrays.items()
            if name.split("/")[0] in ("model", "optimizer", "metrics")
        }
        wanted = {name: tuple(v.shape) for name, v in variables.items()}
        if saved != wanted:
            name = sorted(saved.items() ^ wanted.items())[0][0]
            raise ValueError(
                "Expected the model and the optimizer of the checkpoint, with "
                f"{len(saved)} variables, {name} of shape {saved.get(name)}. "
                f"Received: {len(wanted)} variables, {name} of shape "
                f"{wanted.get(name)}"
            )
        for name, variable in variables.items():
            variable.assign(arrays[name])

    def set_metrics(self, arrays: Arrays) -> None:
        """Puts back the metrics alone."""
        for name, variable in self._metrics().items():
            variable.assign(arrays[name])

    def _weights(self) -> Variables:
        model = self._model
        return {
            **_named("model", model.variables),
            **_named("optimizer", model.optimizer.variables),
        }

    def _metrics(self) -> Variables:
        return _named("metrics", self._model.metrics_variables)


def _named(kind: str, variables: Iterable[keras.Variable]) -> Variables:
    return {f"{kind}/{i}": variable for i, variable in enumerate(variables)}
