"""The variables of a model in training."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_convbert.compat import build_for_training
from keras_convbert.training.per_backend import synchronize
from keras_convbert.training.plain_state import Arrays

Variables = dict[str, keras.Variable]


class ModelState:
    """The variables that a training step changes.

    They are the weights, seeds, optimizer variables and metrics of a model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def synchronize(self) -> None:
        """Updates the variables to the last step, before they are read."""
        synchronize(self._model)

    def build(self, iterator: Any) -> None:
        """Creates all variables, as the first step on TensorFlow would."""
        build_for_training(self._model, iterator)

    def weights(self) -> list[keras.Variable]:
        """Returns the variables that must be finite, optimizer included."""
        return [*self._weights().values()]

    def variables(self) -> Variables:
        """Returns all variables under unique names."""
        return {**self._weights(), **self._metrics()}

    def set_variables(self, arrays: Arrays) -> None:
        """Sets all variables.

        Raises:
            ValueError: if the model has other variables. None is set then.
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
        """Sets the metrics only."""
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
