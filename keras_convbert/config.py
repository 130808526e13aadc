"""The library's few global switches."""

import keras

__all__ = [
    "depthwise_conv_implementation",
    "dynamic_conv_implementation",
    "set_depthwise_conv_implementation",
    "set_dynamic_conv_implementation",
]

IMPLEMENTATIONS = ("simple", "shifts", "blocks", "slices")
DEPTHWISE_IMPLEMENTATIONS = ("native", "shifts")

_forced: str | None = None
_forced_depthwise: str | None = None


def set_dynamic_conv_implementation(name: str | None) -> None:
    """Forces one formulation of `ops.dynamic_conv1d`, or frees the choice.

    All give the same numbers; which is fastest hangs on the backend and the
    machine, and is chosen by what `benchmarks/operators.py` measured. A
    function that is compiled already keeps the one it was compiled with.

    Args:
        name: string, or `None` for the fastest known. `"simple"` is a sum of
            products with shifted inputs, differentiated by the backend;
            `"shifts"` the same with a gradient that holds nothing but the
            inputs; `"blocks"` takes the gradient of the kernels by products
            of blocks, and is `"shifts"` where the length of a graph is open or
            there are more than 64 taps; `"slices"` adds in place, on torch
            alone.

    Raises:
        ValueError: if there is none of that name on this backend.

    Example:

    ```python
    from keras_convbert import config

    config.set_dynamic_conv_implementation("shifts")
    config.set_dynamic_conv_implementation(None)
    ```
    """
    global _forced
    known = list(IMPLEMENTATIONS)
    if keras.backend.backend() != "torch":
        known.remove("slices")
    _check(name, known)
    _forced = name


def dynamic_conv_implementation() -> str | None:
    """The formulation that is forced, or `None`."""
    return _forced


def set_depthwise_conv_implementation(name: str | None) -> None:
    """Forces one formulation of `ops.depthwise_conv1d`, or frees the choice.

    It is the same for `ops.lightweight_conv1d`. To force `"shifts"` pays where
    TensorFlow compiles by XLA on a CPU (`jit_compile=True`), which is not known
    when a graph is traced: `benchmarks/results/operators.json`.

    Args:
        name: string, or `None` for the fastest known. `"native"` is the
            backend's own convolution; `"shifts"` a sum of products with
            shifted inputs, whose gradient holds nothing but the inputs.

    Raises:
        ValueError: if there is none of that name.

    Example:

    ```python
    from keras_convbert import config

    config.set_depthwise_conv_implementation("shifts")
    config.set_depthwise_conv_implementation(None)
    ```
    """
    global _forced_depthwise
    _check(name, list(DEPTHWISE_IMPLEMENTATIONS))
    _forced_depthwise = name


def depthwise_conv_implementation() -> str | None:
    """The formulation that is forced, or `None`."""
    return _forced_depthwise


def _check(name: str | None, known: list[str]) -> None:
    if name is not None and name not in known:
        raise ValueError(
            f"Invalid value for argument `name`. Expected one of {known} on "
            f"the {keras.backend.backend()} backend, or None. "
            f"Received: name={name!r}"
        )
