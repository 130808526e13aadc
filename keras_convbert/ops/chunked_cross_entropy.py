"""What a model guesses hidden tokens to be, without all its logits at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

from keras import ops

from keras_convbert.ops.custom_gradient import with_gradient
from keras_convbert.ops.sampling import sample_categorical
from keras_convbert.types import DType
from keras_convbert.types import Tensor

# Logits that are held at a time: 64 MiB of float32.
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

    Rows go through in chunks, so that of the logits, which are `vocabulary`
    numbers a row, no more than `MAX_LOGITS` exist at a time; for the gradient
    of the losses they are computed once more. No gradient flows through the
    tokens.

    Args:
        hidden: Tensor of shape `(rows, features)`.
        embeddings: Tensor of shape `(vocabulary, features)` and the dtype of
            `hidden`.
        bias: Tensor of shape `(vocabulary,)`.
        token_ids: integer tensor of shape `(rows,)`, the right tokens.
        uniform: Tensor of shape `(rows,)`, uniform in [0, 1).
        temperature: float. Divides the logits before sampling. Defaults to
            `1.0`.

    Returns:
        Cross entropies, float32, likeliest tokens and samples, int32, each of
        shape `(rows,)`.
    """
    guess = with_gradient(
        partial(_by_chunks, temperature=temperature), _gradients
    )
    # Float32 holds numbers of tokens up to 2 ** 24.
    found = guess(
        hidden,
        embeddings,
        bias,
        ops.cast(token_ids, "float32"),
        ops.cast(uniform, "float32"),
    )  # (M, 3)
    tokens = ops.cast(ops.stop_gradient(found[:, 1:]), "int32")
    return found[:, 0], tokens[:, 0], tokens[:, 1]


def _by_chunks(
    hidden: Tensor,
    embeddings: Tensor,
    bias: Tensor,
    token_ids: Tensor,
    uniform: Tensor,
    temperature: float,
) -> Tensor:
    def guess(rows: tuple[Tensor, ...]) -> Tensor:
        hidden, token_ids, uniform = rows
        logits = _logits(hidden, embeddings, bias)  # (m, V)
        right = ops.take_along_axis(
            logits, ops.cast(token_ids, "int32")[:, None], axis=-1
        )  # (m, 1)
        found = (
            ops.logsumexp(logits, axis=-1) - right[:, 0],
            ops.argmax(logits, axis=-1),
            sample_categorical(logits / temperature, uniform),
        )
        return ops.stack([ops.cast(x, "float32") for x in found], axis=-1)

    rows = (hidden, token_ids, uniform)
    nothing = ops.zeros((), "float32")
    _, found = _loop(
        lambda nothing, chunk: (nothing, guess(chunk)),
        nothing,
        rows,
        embeddings.shape[0],
        width=3,
        dtype="float32",
    )
    return found  # (M, 3)


def _gradients(
    upstream: Tensor,
    hidden: Tensor,
    embeddings: Tensor,
    bias: Tensor,
    token_ids: Tensor,
    uniform: Tensor,
) -> tuple[Tensor, ...]:
    classes = ops.arange(embeddings.shape[0], dtype="int32")

    def add(sums: Any, rows: tuple[Tensor, ...]) -> tuple[Any, Tensor]:
        hidden, token_ids, upstream = rows
        right = ops.cast(token_ids, "int32")[:, None] == classes  # (m, V)
        shares = ops.softmax(_logits(hidden, embeddings, bias), axis=-1)
        shares = (shares - ops.cast(right, "float32")) * upstream[:, None]
        of_bias = sums[1] + ops.sum(shares, axis=0)
        shares = ops.cast(shares, hidden.dtype)
        of_embeddings = ops.matmul(ops.transpose(shares), hidden)  # (V, E)
        of_embeddings = sums[0] + ops.cast(of_embeddings, "float32")
        return (of_embeddings, of_bias), ops.matmul(shares, embeddings)

    nothing = (
        ops.zeros(embeddings.shape, "float32"),
        ops.zeros(bias.shape, "float32"),
    )
    rows = (hidden, token_ids, upstream[:, 0])
    (of_embeddings, of_bias), of_hidden = _loop(
        add,
        nothing,
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
    logits = ops.matmul(hidden, ops.transpose(embeddings))
    return ops.cast(logits + ops.cast(bias, logits.dtype), "float32")


def _loop(
    step: Callable[[Any, Any], tuple[Any, Tensor]],
    state: Any,
    rows: tuple[Tensor, ...],
    vocabulary: int,
    width: int,
    dtype: DType,
) -> tuple[Any, Tensor]:
    """`step` over chunks of `rows`, and the `width` numbers of each row."""
    count = ops.shape(rows[0])[0]
    most = max(1, MAX_LOGITS // vocabulary)
    if isinstance(count, int) and count <= most:
        return step(state, rows)
    chunks = -(-count // most)
    size = -(-count // chunks)
    chunked = [_chunked(x, chunks, size) for x in rows]

    def body(number: Tensor, carried: Any) -> Any:
        state, found = carried
        chunk = tuple(ops.take(x, number, axis=0) for x in chunked)
        state, part = step(state, chunk)  # (size, width)
        place = ops.reshape(ops.cast(number, "int32"), (1, 1))
        return state, ops.scatter_update(found, place, ops.expand_dims(part, 0))

    # `ops.scan` wants what a step gives to be of the shape of the state.
    found = ops.zeros((chunks, size, width), dtype)
    state, found = ops.fori_loop(0, chunks, body, (state, found))
    return state, ops.reshape(found, (-1, width))[:count]


def _chunked(rows: Tensor, chunks: Any, size: Any) -> Tensor:
    missing = chunks * size - ops.shape(rows)[0]
    filler = ops.zeros((missing, *rows.shape[1:]), rows.dtype)
    rows = ops.concatenate([rows, filler], axis=0)
    return ops.reshape(rows, (chunks, size, *rows.shape[1:]))
