"""Work on requests in parts of bounded size, as loops in TensorFlow graphs."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_convbert.types import Tensor

Outputs = dict[str, Tensor]

# Per call of the model. More of them take more memory and are not faster.
TOKENS = 8192
# Per call of the tokenizer.
TEXT_BYTES = 2**18
TEXTS = 256


def by_texts(step: Callable[..., Outputs], texts: Sequence[Tensor]) -> Outputs:
    """Calls `step` for some texts at a time, and joins the outputs.

    Args:
        step: maps one tensor of strings per input to named outputs.
        texts: string tensors of shape `(batch,)`.
    """
    import tensorflow as tf

    sizes = tf.add_n([tf.strings.length(strings) for strings in texts])
    ends = tf.cumsum(tf.cast(sizes, "int64"))
    starts = tf.pad(ends, [[1, 0]])
    count = tf.size(sizes)

    def stop(first: Tensor) -> Tensor:
        # A longer text is a part of its own.
        last = tf.searchsorted(
            ends, [starts[first] + TEXT_BYTES], side="right"
        )[0]
        return tf.minimum(tf.maximum(last, first + 1), first + TEXTS)

    return _joined(
        lambda first, last: step(*(strings[first:last] for strings in texts)),
        count,
        stop,
    )


def by_rows(
    step: Callable[[Tensor, Tensor], Outputs], count: Tensor, length: Tensor
) -> Outputs:
    """Calls `step` for some sequences at a time, and joins the outputs.

    Args:
        step: maps the first row and the row after the last to named outputs.
        count: scalar int32 tensor, the number of sequences.
        length: scalar int32 tensor, about their length without padding.
    """
    import tensorflow as tf

    rows = tf.maximum(TOKENS // length, 1)
    return _joined(step, count, lambda first: first + rows)


def in_rows(serve: Any, inputs: Mapping[str, Tensor]) -> Outputs:
    """Calls a model for some rows at a time.

    Args:
        serve: `tf.function` from ids to named outputs.
        inputs: dict of int32 tensors of shape `(batch, length)`.
    """
    import tensorflow as tf

    specs = serve.get_concrete_function(
        {k: tf.TensorSpec((None, None), v.dtype, k) for k, v in inputs.items()}
    ).structured_outputs
    if not all(_has_rows(spec) for spec in specs.values()):
        # The output of a user's own model over a batch.
        return serve(dict(inputs))
    shape = tf.shape(inputs["token_ids"])
    return by_rows(
        lambda first, last: serve(
            {name: values[first:last] for name, values in inputs.items()}
        ),
        shape[0],
        tf.maximum(shape[1], 1),
    )


def _has_rows(spec: Any) -> bool:
    return bool(spec.shape.rank) and spec.shape[0] is None


def _joined(
    step: Callable[[Tensor, Tensor], Outputs],
    count: Tensor,
    stop: Callable[[Tensor], Tensor],
) -> Outputs:
    """Calls `step` on consecutive ranges, and concatenates the outputs."""
    import tensorflow as tf

    # Traced once, and called in the loop.
    scalar = tf.TensorSpec((), "int32")
    graph = tf.function(step, autograph=False).get_concrete_function(
        scalar, scalar
    )
    specs = graph.structured_outputs
    arrays = {
        name: tf.TensorArray(
            spec.dtype,
            1,
            dynamic_size=True,
            infer_shape=False,
            element_shape=spec.shape,
        )
        for name, spec in specs.items()
    }

    def body(number: Tensor, first: Tensor, arrays: Any) -> Any:
        last = tf.minimum(stop(first), count)
        outputs = graph(first, last)
        written = {
            name: array.write(number, outputs[name])
            for name, array in arrays.items()
        }
        return number + 1, last, written

    # Once without rows, so that outputs get their shapes.
    _, _, arrays = tf.while_loop(
        lambda number, first, _: (number == 0) | (first < count),
        body,
        (0, 0, arrays),
        parallel_iterations=1,
    )
    return {name: array.concat() for name, array in arrays.items()}
