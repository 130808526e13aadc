"""Aliases for types that Keras does not name."""

from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

Tensor: TypeAlias = Any
"""A tensor of the backend in use, or a symbolic `keras.KerasTensor`."""

Shape: TypeAlias = tuple[int | None, ...]
"""A static shape; `None` marks a dimension known only at run time."""

DType: TypeAlias = Any
"""A dtype name, a `keras.DTypePolicy`, or `None` for the global policy."""

Initializer: TypeAlias = Any
"""An initializer, its name, or its config."""

Regularizer: TypeAlias = Any
"""A regularizer, its name, its config, or `None`."""

Constraint: TypeAlias = Any
"""A constraint, its name, its config, or `None`."""

Activation: TypeAlias = Any
"""An activation function, its name, or `None`."""

Config: TypeAlias = dict[str, Any]
"""A JSON-serializable configuration."""

if TYPE_CHECKING:
    Mixin: TypeAlias = Any
else:
    Mixin = object
"""Base of a class that uses attributes of the other bases of a subclass."""
