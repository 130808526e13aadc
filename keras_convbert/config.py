"""Global switches of the library."""

import keras

__all__ = ["implementation", "set_implementation"]

IMPLEMENTATIONS = {
    "dynamic_conv1d": ("naive", "shifts", "blocks", "slices"),
    "depthwise_conv1d": ("native", "shifts"),
}

_forced: dict[str, str] = {}


def set_implementation(op: str, name: str | None) -> None:
    """Forces one formulation of an operator, or frees the choice.

    All formulations of an operator compute the same numbers. Which one is the
    fastest depends on the backend and the machine; by default the one that
    was measured fastest is used (`benchmarks/results/operators.json`). A
    function that is already compiled keeps its formulation.

    Forcing a formulation pays off where TensorFlow compiles with XLA on a CPU
    (`jit_compile=True`), which TensorFlow cannot tell us while it traces a
    graph: there `"blocks"` and the depthwise `"shifts"` are the fastest.

    Formulations of `"dynamic_conv1d"`:

    - `"naive"`: a sum of products with shifted inputs, differentiated by the
      backend. It is the readable form, and the tests compare the others to it.
    - `"shifts"`: the same sum, with a gradient that keeps only the inputs.
    - `"blocks"`: as `"shifts"`, with the gradient of the kernels as a product
      of blocks. Falls back to `"shifts"` if a graph does not know the length,
      or if there are more than 64 taps.
    - `"slices"`: products added in place. On torch only.

    Formulations of `"depthwise_conv1d"`:

    - `"native"`: the depthwise convolution of the backend.
    - `"shifts"`: a sum of products with shifted inputs, with a gradient that
      keeps only the inputs.

    Args:
        op: string, `"dynamic_conv1d"` or `"depthwise_conv1d"`. The latter
            also computes `ops.lightweight_conv1d`.
        name: string, one of the names above, or `None` for the fastest known
            formulation.

    Raises:
        ValueError: if `op` is unknown, or has no formulation `name` on this
            backend.

    Example:

    ```python
    from keras_convbert import config

    config.set_implementation("dynamic_conv1d", "shifts")
    config.set_implementation("dynamic_conv1d", None)
    ```
    """
    known = _implementations(op)
    if name is None:
        _forced.pop(op, None)
        return
    if name not in known:
        raise ValueError(
            f"Invalid value for argument `name`. Expected one of {known} for "
            f"`{op}` on the {keras.backend.backend()} backend, or None. "
            f"Received: name={name!r}"
        )
    _forced[op] = name


def implementation(op: str) -> str | None:
    """Returns the formulation that is forced for an operator, or `None`.

    Args:
        op: string, `"dynamic_conv1d"` or `"depthwise_conv1d"`.

    Raises:
        ValueError: if `op` is unknown.
    """
    _implementations(op)
    return _forced.get(op)


def _implementations(op: str) -> list[str]:
    """The formulations of `op` that exist on this backend."""
    if op not in IMPLEMENTATIONS:
        raise ValueError(
            "Invalid value for argument `op`. Expected one of "
            f"{list(IMPLEMENTATIONS)}. Received: op={op!r}"
        )
    return [
        name
        for name in IMPLEMENTATIONS[op]
        if name != "slices" or keras.backend.backend() == "torch"
    ]
