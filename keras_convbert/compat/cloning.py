"""`keras.models.clone_model` for models with an own `get_config`."""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import keras

from keras_convbert.compat.layers import child_layers
from keras_convbert.compat.layers import lora_rank
from keras_convbert.types import Mixin


class ClonesFromConfig(Mixin):
    """Lets `keras.models.clone_model` return a model of the same class.

    Keras clones the graph of any functional model. The result is a plain
    `Functional`, which has no tokenizer, unless the constructor takes `*args`
    and `**kwargs`: Keras then calls it with the new inputs and outputs. This
    class wraps the constructor so that it does, and makes the clone from the
    config instead. With own arguments of `clone_model`, which change the graph,
    the clone stays a plain `Functional`.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        cloning = _find_cloning(cls, args)
        if cloning is None:
            return super().__new__(cls, *args, **kwargs)
        if cloning.changes_graph:
            return keras.Model(*args, **kwargs)
        clone = cls.from_config(cloning.model.get_config())
        if lora_rank(getattr(cloning.model, "backbone", cloning.model)) is None:
            _copy_trainable(cloning.model, clone)
        else:
            # LoRA has also frozen layers of the model.
            warnings.warn(
                "The clone has no LoRA weights. Call `enable_lora` of its "
                "backbone to add them.",
                stacklevel=2,
            )
        return clone

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            init = _skipped_for_clones(cls.__init__)
            cls.__init__ = init  # type: ignore[method-assign]


class _Cloning(NamedTuple):
    """The arguments of a running `clone_model`."""

    model: Any
    changes_graph: bool


def _skipped_for_clones(init: Callable[..., None]) -> Callable[..., None]:
    # `inspect.signature` returns the signature of `init`.
    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        # `__new__` has returned a complete model.
        if _find_cloning(type(self), args) is None:
            init(self, *args, **kwargs)

    return __init__


def _find_cloning(cls: type, args: tuple[Any, ...]) -> _Cloning | None:
    """Returns the `clone_model` that calls `cls(inputs, outputs, name)`."""
    if len(args) != 2 or not all(
        isinstance(tensor, keras.KerasTensor)
        for tensor in keras.tree.flatten(args)
    ):
        return None
    frame = sys._getframe(1)
    while frame.f_code is not keras.models.clone_model.__code__:
        if frame.f_back is None:
            return None
        frame = frame.f_back
    given = frame.f_locals
    if type(given["model"]) is not cls:
        return None
    # Keras has wrapped the function by which it clones layers.
    function = inspect.getclosurevars(given["clone_function"]).nonlocals
    is_default = (
        function["clone_function"].__module__
        == keras.models.clone_model.__module__
    )
    changes_graph = (
        not is_default
        or given["input_tensors"] is not None
        or given["call_function"] is not None
    )
    return _Cloning(given["model"], changes_graph)


def _copy_trainable(layer: Any, clone: Any) -> None:
    # Setting it also sets it for all children, which therefore follow.
    clone.trainable = layer.trainable
    children = zip(child_layers(layer), child_layers(clone), strict=True)
    for old, new in children:
        _copy_trainable(old, new)
