"""The variables of a model in training, and the random generators."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_convbert.training.global_generators import get_generators
from keras_convbert.training.global_generators import set_generators
from keras_convbert.training.per_backend import synchronize
from keras_convbert.training.plain_state import Arrays
from keras_convbert.types import Config

Variables = dict[str, keras.Variable]


class ModelState:
    """All that a step of training reads and changes, but the data."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model

    def synchronize(self) -> None:
        """Before variables are read: brings them up to the last step."""
        synchronize(self._model)

    def build(self, iterator: Any) -> None:
        """Makes all variables, which on TensorFlow the first step would."""
        self._model._symbolic_build(iterator=iterator)
        iterator.reset()

    def weights(self) -> list[keras.Variable]:
        """What must be finite: of the model and of its optimizer."""
        return [*self._weights().values()]

    def variables(self) -> Variables:
        """Each variable under a name of its own."""
        return {**self._weights(), **self._metrics()}

    def get_generators(self) -> tuple[Config, Arrays]:
        """The states of the global generators, as JSON and as arrays."""
        return get_generators()

    def set_state(self, arrays: Arrays, generators: Config) -> None:
        """Puts back the variables and the global generators.

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
        set_generators(generators, arrays)

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
