from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.errors import CheckpointError

Translation: TypeAlias = tuple[str, tuple[int | None, ...]]


class TranslatedArrays:
    """The arrays of another source, under other names and in other layouts.

    Args:
        source: `ArraySource`. Where the arrays are.
        translate: callable. Gives for a name and the number of axes the name
            to use, and which axis of the array each axis is, `None` for a new
            one; or `None` for an array to leave out.

    Raises:
        CheckpointError: if two arrays come to the same name.
    """

    def __init__(
        self,
        source: ArraySource,
        translate: Callable[[str, int], Translation | None],
    ) -> None:
        self._source = source
        self.size = source.size
        self._places: dict[str, Translation] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for theirs, shape in source.shapes.items():
            found = translate(theirs, len(shape))
            if found is None:
                continue
            name, axes = found
            if name in self._places:
                raise CheckpointError(
                    f"{source} holds two arrays for {name!r}: "
                    f"{self._places[name][0]!r} and {theirs!r}."
                )
            self._places[name] = (theirs, axes)
            self.shapes[name] = tuple(
                1 if axis is None else shape[axis] for axis in axes
            )

    def __str__(self) -> str:
        return str(self._source)

    def array(self, name: str) -> np.ndarray:
        """Reads the array called `name`."""
        theirs, axes = self._places[name]
        order = [axis for axis in axes if axis is not None]
        array = self._source.array(theirs).transpose(order)
        return array.reshape(self.shapes[name])
