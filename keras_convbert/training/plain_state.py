"""Converts attributes of objects to JSON values and arrays, and back."""

from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


class NotPlainError(TypeError):
    """A value that is not plain data."""


def encode(value: Any, name: str, arrays: Arrays) -> Any:
    """Returns a value as JSON; its arrays are added to `arrays`.

    Raises:
        NotPlainError: if it contains anything but plain data.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        if isinstance(value, np.generic):
            return encode(np.asarray(value), name, arrays)
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise NotPlainError(name)
        arrays[name] = array
        kind = "scalar" if isinstance(value, np.generic) else "array"
        return {kind: name}
    if isinstance(value, (list, tuple)):
        entries = [
            encode(entry, f"{name}/{i}", arrays)
            for i, entry in enumerate(value)
        ]
        return {type(value).__name__: entries}
    if type(value) is dict:
        pairs = [[key, entry] for key, entry in value.items()]
        return {"dict": encode(pairs, name, arrays)}
    raise NotPlainError(name)


def decode(content: Any, arrays: Arrays) -> Any:
    """Returns the value that was encoded."""
    if not isinstance(content, dict):
        return content
    ((kind, inner),) = content.items()
    if kind == "array":
        return arrays[inner]
    if kind == "scalar":
        return arrays[inner][()]
    if kind == "dict":
        return dict(decode(inner, arrays))
    entries = [decode(entry, arrays) for entry in inner]
    return tuple(entries) if kind == "tuple" else entries
