"""The table that says which formulation of the dynamic convolution runs."""

from collections.abc import Callable

import keras

from keras_convbert.config import implementation
from keras_convbert.ops.dynamic_conv.blocks import MAX_TAPS
from keras_convbert.ops.dynamic_conv.blocks import blocks
from keras_convbert.ops.dynamic_conv.naive import naive
from keras_convbert.ops.dynamic_conv.shifts import shifts
from keras_convbert.ops.dynamic_conv.slices import slices
from keras_convbert.types import Tensor

FORMULATIONS: dict[str, Callable[..., Tensor]] = {
    "naive": naive,
    "shifts": shifts,
    "blocks": blocks,
    "slices": slices,
}

# The fastest formulations, best first; the first that fits the inputs is used.
# Measured on a CPU: `benchmarks/results/operators.json`. On a GPU these are
# within a tenth of the fastest (`benchmarks/results/gpu.json`), TensorFlow
# excepted, which was not measured there.
FASTEST = {
    "tensorflow": ("shifts",),
    "jax": ("blocks", "shifts"),
    "torch compiled": ("shifts",),
    "torch eager": ("slices",),
    "torch eager, long rows with gradients on a GPU": ("blocks", "slices"),
}
LONG_ROW = 512


def formulation(values: Tensor, taps: int) -> Callable[..., Tensor]:
    """The function that convolves `values` `(B, T, H, R)` with `taps` taps."""
    forced = implementation("dynamic_conv1d")
    candidates = (forced, "shifts") if forced else FASTEST[_situation(values)]
    return FORMULATIONS[
        next(name for name in candidates if _fits(name, values, taps))
    ]


def _situation(values: Tensor) -> str:
    """The row of `FASTEST` that holds for `values`."""
    backend = keras.backend.backend()
    if backend != "torch":
        return backend
    import torch

    if torch.compiler.is_compiling():
        return "torch compiled"
    if values.is_cuda and values.requires_grad and values.shape[1] >= LONG_ROW:
        return "torch eager, long rows with gradients on a GPU"
    return "torch eager"


def _fits(name: str, values: Tensor, taps: int) -> bool:
    """Whether `blocks` can be cut: the others fit every input."""
    length = values.shape[1]
    has_blocks = isinstance(length, int) and length > 0
    return name != "blocks" or (has_blocks and taps <= MAX_TAPS)
