from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from keras_convbert.checkpoints.assignment import ArraySource
from keras_convbert.checkpoints.errors import CheckpointError

Translation: TypeAlias = tuple[str, tuple[int | None, ...]]


class TranslatedArrays:
    """The arrays of another source, with other names and layouts.

    Args:
        source: `ArraySource`. It reads the arrays.
        translate: callable. It takes the name of an array and its number of
            axes. It returns the new name and the source axis of each new axis,
            `None` for a new axis of size 1; or `None` to leave the array out.

    Raises:
        CheckpointError: if two arrays get the same name.
    """

    def __init__(
        self,
        source: ArraySource,
        translate: Callable[[str, int], Translation | None],
    ) -> None:
        self._source = source
        self.size = source.size
        self._translations: dict[str, Translation] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for original, shape in source.shapes.items():
            found = translate(original, len(shape))
            if found is None:
                continue
            name, axes = found
            if name in self._translations:
                raise CheckpointError(
                    f"{source} holds two arrays for {name!r}: "
                    f"{self._translations[name][0]!r} and {original!r}."
                )
            self._translations[name] = (original, axes)
            self.shapes[name] = tuple(
                1 if axis is None else shape[axis] for axis in axes
            )

    def __str__(self) -> str:
        return str(self._source)

    def array(self, name: str) -> np.ndarray:
        """Reads the array called `name`."""
        original, axes = self._translations[name]
        order = [axis for axis in axes if axis is not None]
        array = self._source.array(original).transpose(order)
        return array.reshape(self.shapes[name])
