"""Losses and predictions of masked tokens, without all logits at once.

Letters: M rows, m rows per chunk, D hidden width, V vocabulary.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from keras import ops

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.ops.precision import float32_or_wider
from keras_convbert.ops.precision import upcast
from keras_convbert.ops.sampling import sample_categorical
from keras_convbert.ops.sizes import at_least_one
from keras_convbert.types import DType
from keras_convbert.types import Tensor

# Logits in memory at a time: 64 MiB of float32.
MAX_LOGITS = 2**24


def chunked_cross_entropy_and_sample(
    hidden: Tensor,
    embeddings: Tensor,
    bias: Tensor,
    token_ids: Tensor,
    uniform: Tensor,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, likeliest tokens and samples of `hidden @ embeddings.T + bias`.

    The rows are processed in chunks, so that at most `MAX_LOGITS` logits
    exist at a time (each row has `vocabulary` of them). The gradient of the
    losses computes them once more. The tokens have no gradient.

    Args:
        hidden: Tensor of shape `(rows, features)`.
        embeddings: Tensor of shape `(vocabulary, features)` and the dtype of
            `hidden`.
        bias: Tensor of shape `(vocabulary,)`.
        token_ids: integer tensor of shape `(rows,)`, the true tokens.
        uniform: Tensor of shape `(rows,)`, uniform in [0, 1).
        temperature: float. Divides the logits before sampling. Defaults to
            `1.0`.

    Returns:
        Tuple of the cross entropies, float32 or wider, the likeliest tokens
        and the samples, both int32. Each has the shape `(rows,)`.
    """
    predict = with_gradient(
        partial(_predict_in_chunks, temperature=temperature), _gradients
    )
    dtype = float32_or_wider(hidden.dtype)
    # One float32 tensor holds all results: it is exact for ids up to 2 ** 24.
    predicted = predict(
        hidden,
        embeddings,
        bias,
        ops.cast(token_ids, dtype),
        ops.cast(uniform, dtype),
    )  # (M, 3)
    tokens = ops.cast(ops.stop_gradient(predicted[:, 1:]), "int32")
    return predicted[:, 0], tokens[:, 0], tokens[:, 1]


def _predict_in_chunks(
    hidden: Tensor,
    embeddings: Tensor,
    bias: Tensor,
    token_ids: Tensor,
    uniform: Tensor,
    temperature: float,
) -> Tensor:
    """Loss, likeliest token and sample per row, `(M, 3)`."""
    dtype = float32_or_wider(hidden.dtype)

    def predict(rows: tuple[Tensor, ...]) -> Tensor:
        hidden, token_ids, uniform = rows
        logits = _logits(hidden, embeddings, bias)  # (m, V)
        true_logits = ops.take_along_axis(
            logits, ops.cast(token_ids, "int32")[:, None], axis=-1
        )  # (m, 1)
        predicted = (
            ops.logsumexp(logits, axis=-1) - true_logits[:, 0],
            ops.argmax(logits, axis=-1),
            sample_categorical(logits / temperature, uniform),
        )
        return ops.stack([ops.cast(x, dtype) for x in predicted], axis=-1)

    rows = (hidden, token_ids, uniform)
    no_state = ops.zeros((), dtype)
    _, predicted = _loop(
        lambda state, chunk: (state, predict(chunk)),
        no_state,
        rows,
        embeddings.shape[0],
        width=3,
        dtype=dtype,
    )
    return predicted  # (M, 3)


def _gradients(
    upstream: Tensor,
    hidden: Tensor,
    embeddings: Tensor,
    bias: Tensor,
    token_ids: Tensor,
    uniform: Tensor,
) -> tuple[Tensor, ...]:
    """Gradients of the losses; the other inputs get zeros."""
    vocabulary = ops.arange(embeddings.shape[0], dtype="int32")
    dtype = float32_or_wider(hidden.dtype)

    def add(sums: Any, rows: tuple[Tensor, ...]) -> tuple[Any, Tensor]:
        hidden, token_ids, upstream = rows
        is_true = ops.cast(token_ids, "int32")[:, None] == vocabulary  # (m, V)
        logits = _logits(hidden, embeddings, bias)  # (m, V)
        # The gradient of the logits: softmax(logits) - one_hot(token).
        gradient = ops.softmax(logits, axis=-1) - ops.cast(is_true, dtype)
        gradient = gradient * upstream[:, None]
        of_bias = sums[1] + ops.sum(gradient, axis=0)
        gradient = ops.cast(gradient, hidden.dtype)
        of_embeddings = ops.matmul(ops.transpose(gradient), hidden)  # (V, D)
        of_embeddings = sums[0] + ops.cast(of_embeddings, dtype)
        return (of_embeddings, of_bias), ops.matmul(gradient, embeddings)

    zeros = (
        ops.zeros(embeddings.shape, dtype),
        ops.zeros(bias.shape, dtype),
    )
    rows = (hidden, token_ids, upstream[:, 0])
    (of_embeddings, of_bias), of_hidden = _loop(
        add,
        zeros,
        rows,
        embeddings.shape[0],
        width=embeddings.shape[1],
        dtype=hidden.dtype,
    )
    return (
        of_hidden,
        ops.cast(of_embeddings, embeddings.dtype),
        ops.cast(of_bias, bias.dtype),
        ops.zeros_like(token_ids),
        ops.zeros_like(uniform),
    )


def _logits(hidden: Tensor, embeddings: Tensor, bias: Tensor) -> Tensor:
    """The logits `(m, V)`, float32 or wider."""
    logits = ops.matmul(hidden, ops.transpose(embeddings))
    return upcast(logits + ops.cast(bias, logits.dtype))


def _loop(
    step: Callable[[Any, Any], tuple[Any, Tensor]],
    state: Any,
    rows: tuple[Tensor, ...],
    vocabulary: int,
    width: int,
    dtype: DType,
) -> tuple[Any, Tensor]:
    """Applies `step` to one chunk of `rows` after the other.

    Args:
        step: function of a state and a chunk of `rows` that returns the next
            state and outputs of shape `(size of the chunk, width)`.
        state: state of the first step.
        rows: tensors of shape `(M, ...)`.
        vocabulary: int. Number of logits per row.
        width: int. Number of outputs per row.
        dtype: dtype of the outputs.

    Returns:
        The last state and the outputs, `(M, width)`.
    """
    num_rows = ops.shape(rows[0])[0]
    max_rows = max(1, MAX_LOGITS // vocabulary)
    if isinstance(num_rows, int) and num_rows <= max_rows:
        return step(state, rows)
    num_chunks = at_least_one(-(-num_rows // max_rows))
    size = at_least_one(-(-num_rows // num_chunks))
    chunks = [_split(x, num_chunks, size) for x in rows]

    def body(index: Tensor, carried: Any) -> Any:
        state, outputs = carried
        chunk = tuple(ops.take(x, index, axis=0) for x in chunks)
        state, part = step(state, chunk)  # (size, width)
        position = ops.reshape(ops.cast(index, "int32"), (1, 1))
        part = ops.expand_dims(part, 0)
        return state, ops.scatter_update(outputs, position, part)

    # `ops.scan` requires outputs of the shape of the state.
    outputs = ops.zeros((num_chunks, size, width), dtype)
    state, outputs = ops.fori_loop(0, num_chunks, body, (state, outputs))
    return state, ops.reshape(outputs, (-1, width))[:num_rows]


def _split(rows: Tensor, num_chunks: Any, size: Any) -> Tensor:
    """Reshapes `(M, ...)` to `(num_chunks, size, ...)`, filled with zeros."""
    missing = num_chunks * size - ops.shape(rows)[0]
    filler = ops.zeros((missing, *rows.shape[1:]), rows.dtype)
    rows = ops.concatenate([rows, filler], axis=0)
    return ops.reshape(rows, (num_chunks, size, *rows.shape[1:]))
