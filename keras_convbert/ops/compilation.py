"""What PyTorch's compiler is to leave alone."""

from collections.abc import Callable
from typing import Any
from typing import TypeVar

import keras

Function = TypeVar("Function", bound=Callable[..., Any])


def not_compiled(function: Function) -> Function:
    """A function that torch runs as it is in the middle of a compiled step.

    For what compilers cannot follow, where its kernels are few or good. On
    other backends it stays part of the graph.
    """
    if keras.backend.backend() != "torch":
        return function
    import torch

    return torch.compiler.disable(function)
