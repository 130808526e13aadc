"""What the layers of a `ConvBertBackbone` cost.

Letters: T length, E width of the embeddings, H hidden width, I feed-forward
width, n heads of a branch, d width of a head, a = n * d, K kernel.
"""

from typing import Any
from typing import NamedTuple

from keras_convbert.analysis import elementwise_flops as each
from keras_convbert.analysis.cost_table import LayerCost


class Bytes(NamedTuple):
    """Sizes of an element that is kept."""

    compute: int
    """In the dtype of the computation."""
    exact: int
    """Where it is float32 at least: in softmax and layer norm."""


def embedding_costs(
    config: dict[str, Any],
    length: int,
    size: Bytes,
    dense_lookup: bool,
    prefix: str = "",
) -> list[LayerCost]:
    """The embeddings, and the projection where there is one.

    Args:
        config: dict. All arguments of a `ConvBertBackbone`.
        length: int. T.
        size: bytes of an element.
        dense_lookup: bool. Whether lookups are products.
        prefix: string. Of an encoder that shares the tables of another,
            whose parameters do not count again. Defaults to `""`.
    """
    hidden = config["hidden_dim"]
    width = config["embedding_dim"] or hidden
    entries = config["vocabulary_size"] + config["num_segments"]
    flops = (2 + each.LAYER_NORM + each.DROPOUT) * width
    if dense_lookup:
        flops += 2 * width * (entries + length)
    kept = width * (size.exact + bool(config["dropout"]))
    parameters = (entries + config["max_sequence_length"] + 2) * width
    rows = [("embeddings", 0 if prefix else parameters, flops, kept)]
    if width != hidden:
        rows.append(
            (
                "embeddings_projection",
                width * hidden + hidden,
                2 * width * hidden + hidden,
                width * size.compute,
            )
        )
    return _of_length(rows, length, prefix)


def block_costs(
    config: dict[str, Any], length: int, size: Bytes, prefix: str
) -> list[LayerCost]:
    """The parts of one `ConvBertEncoderBlock`.

    Args:
        config: dict. All arguments of a `ConvBertBackbone`.
        length: int. T.
        size: bytes of an element.
        prefix: string. Name of the block, with a slash.
    """
    rows = [("attention", *_attention(config, length, size))]
    if config["conv"]:
        rows.append(("convolution", *_convolution(config, size)))
    rows.append(("feed_forward", *_feed_forward(config, size)))
    if config["gradient_checkpointing"]:
        # Of a block its inputs alone.
        inputs = config["hidden_dim"] * size.compute
        rows = [
            (*row[:3], 0 if number else inputs)
            for number, row in enumerate(rows)
        ]
    return _of_length(rows, length, prefix)


def _of_length(
    rows: list[tuple[str, int, int, int]], length: int, prefix: str
) -> list[LayerCost]:
    return [
        LayerCost(prefix + name, parameters, flops * length, kept * length)
        for name, parameters, flops, kept in rows
    ]


def _heads(config: dict[str, Any]) -> tuple[int, int]:
    """n and a."""
    heads = max(1, config["num_heads"] // config["head_ratio"])
    width = config["head_dim"] or config["hidden_dim"] // config["num_heads"]
    return heads, heads * width


def _attention(
    config: dict[str, Any], length: int, size: Bytes
) -> tuple[int, int, int]:
    """Queries, keys, values, the output of both branches, and its norm."""
    hidden = config["hidden_dim"]
    heads, width = _heads(config)
    joined = width * (2 if config["conv"] else 1)
    parameters = 3 * (hidden + 1) * width + (joined + 1) * hidden + 2 * hidden
    scores = heads * length
    flops = 3 * (2 * hidden + 1) * width + (2 * joined + 1) * hidden
    flops += 2 * 2 * width * length
    # And the scale.
    flops += (each.SOFTMAX + each.DROPOUT + 1) * scores
    flops += (each.DROPOUT + 1 + each.LAYER_NORM) * hidden
    # The inputs, three projections, and what is projected in the end.
    kept = (hidden + 3 * width + joined) * size.compute
    if config["attention_dropout"]:
        # Probabilities, the choice, and what is left of them.
        kept += scores * (size.exact + 1 + size.compute)
    return parameters, flops, kept + _residual(config, size)


def _convolution(config: dict[str, Any], size: Bytes) -> tuple[int, int, int]:
    """The span keys, the kernels made of them, values, and their sums."""
    hidden, taps = config["hidden_dim"], config["kernel_size"]
    heads, width = _heads(config)
    kernels = heads * taps
    parameters = taps * hidden + 2 * (hidden + 1) * width
    parameters += (width + 1) * kernels
    flops = 2 * taps * hidden + 2 * (2 * hidden + 1) * width
    flops += width + (2 * width + 1 + each.SOFTMAX) * kernels
    flops += 2 * taps * width
    # Inputs without padding, their spans; keys, queries, both multiplied, and
    # values.
    kept = (2 * hidden + 4 * width) * size.compute + kernels * size.exact
    if size.compute != size.exact:
        kept += kernels * size.compute
    return parameters, flops, kept


def _feed_forward(config: dict[str, Any], size: Bytes) -> tuple[int, int, int]:
    hidden, inner = config["hidden_dim"], config["intermediate_dim"]
    products = 2 * hidden * inner // config["num_groups"]
    parameters = products + inner + hidden + 2 * hidden
    flops = 2 * products + (1 + each.ACTIVATION) * inner
    flops += (1 + each.DROPOUT + 1 + each.LAYER_NORM) * hidden
    # Inputs, and what comes before and after the activation.
    kept = (hidden + 2 * inner) * size.compute
    return parameters, flops, kept + _residual(config, size)


def _residual(config: dict[str, Any], size: Bytes) -> int:
    """Bytes of the dropout before a sum, and of the norm after it."""
    return config["hidden_dim"] * (bool(config["dropout"]) + size.exact)
