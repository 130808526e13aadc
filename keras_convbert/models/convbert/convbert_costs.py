"""Costs of the layers of a `ConvBertBackbone` and of its heads.

Letters: T length, D hidden width, E embedding width, I feed-forward width,
H heads per branch, R features per head, K taps.
"""

from typing import Any

from keras_convbert.models.base.layer_costs import ACTIVATION_FLOPS
from keras_convbert.models.base.layer_costs import DROPOUT_FLOPS
from keras_convbert.models.base.layer_costs import LAYER_NORM_FLOPS
from keras_convbert.models.base.layer_costs import SOFTMAX_FLOPS
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.base.layer_costs import LayerCost


def embedding_costs(
    config: dict[str, Any],
    length: int,
    size: ElementBytes,
    dense_lookup: bool,
    prefix: str = "",
) -> list[LayerCost]:
    """Returns the costs of the embeddings and of their projection, if any.

    Args:
        config: dict. All arguments of a `ConvBertBackbone`.
        length: int. T, the number of tokens per sequence.
        size: `ElementBytes`. Bytes per stored element.
        dense_lookup: bool. Whether embedding lookups count as matrix products.
        prefix: string. Prefix of the layer names of an encoder that shares
            the embeddings of another one; their parameters are then not
            counted. Defaults to `""`.
    """
    hidden = config["hidden_dim"]
    width = config["embedding_dim"] or hidden
    entries = config["vocabulary_size"] + config["num_segments"]
    flops = (2 + LAYER_NORM_FLOPS + DROPOUT_FLOPS) * width
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
    config: dict[str, Any], length: int, size: ElementBytes, prefix: str
) -> list[LayerCost]:
    """Returns the costs of the parts of one `ConvBertEncoderBlock`.

    Args:
        config: dict. All arguments of a `ConvBertBackbone`.
        length: int. T, the number of tokens per sequence.
        size: `ElementBytes`. Bytes per stored element.
        prefix: string. The name of the block with a trailing slash.
    """
    rows = [("attention", *_attention(config, length, size))]
    if config["conv"]:
        rows.append(("convolution", *_convolution(config, size)))
    rows.append(("feed_forward", *_feed_forward(config, size)))
    if config["gradient_checkpointing"]:
        # A block stores only its inputs.
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
    """Returns H and H * R."""
    heads = max(1, config["num_heads"] // config["head_ratio"])
    width = config["head_dim"] or config["hidden_dim"] // config["num_heads"]
    return heads, heads * width


def _attention(
    config: dict[str, Any], length: int, size: ElementBytes
) -> tuple[int, int, int]:
    """Query, key and value; the output projection of both branches; norm."""
    hidden = config["hidden_dim"]
    heads, width = _heads(config)
    joined = width * (2 if config["conv"] else 1)
    parameters = 3 * (hidden + 1) * width + (joined + 1) * hidden + 2 * hidden
    scores = heads * length
    flops = 3 * (2 * hidden + 1) * width + (2 * joined + 1) * hidden
    flops += 2 * 2 * width * length
    # The last FLOP per score is the scaling.
    flops += (SOFTMAX_FLOPS + DROPOUT_FLOPS + 1) * scores
    flops += (DROPOUT_FLOPS + 1 + LAYER_NORM_FLOPS) * hidden
    # Inputs, three projections, and the input of the output projection.
    kept = (hidden + 3 * width + joined) * size.compute
    if config["attention_dropout"]:
        # Probabilities, the dropout mask, and the dropped probabilities.
        kept += scores * (size.exact + 1 + size.compute)
    return parameters, flops, kept + _residual(config, size)


def _convolution(
    config: dict[str, Any], size: ElementBytes
) -> tuple[int, int, int]:
    """Span keys, generated kernels, values, and their weighted sums."""
    hidden, taps = config["hidden_dim"], config["kernel_size"]
    heads, width = _heads(config)
    kernels = heads * taps
    parameters = taps * hidden + 2 * (hidden + 1) * width
    parameters += (width + 1) * kernels
    flops = 2 * taps * hidden + 2 * (2 * hidden + 1) * width
    flops += width + (2 * width + 1 + SOFTMAX_FLOPS) * kernels
    flops += 2 * taps * width
    # Masked inputs, spans; keys, queries, products of both, and values.
    kept = (2 * hidden + 4 * width) * size.compute + kernels * size.exact
    if size.compute != size.exact:
        kept += kernels * size.compute
    return parameters, flops, kept


def _feed_forward(
    config: dict[str, Any], size: ElementBytes
) -> tuple[int, int, int]:
    hidden, inner = config["hidden_dim"], config["intermediate_dim"]
    products = 2 * hidden * inner // config["num_groups"]
    parameters = products + inner + hidden + 2 * hidden
    flops = 2 * products + (1 + ACTIVATION_FLOPS) * inner
    flops += (1 + DROPOUT_FLOPS + 1 + LAYER_NORM_FLOPS) * hidden
    # Inputs, and the tensors before and after the activation.
    kept = (hidden + 2 * inner) * size.compute
    return parameters, flops, kept + _residual(config, size)


def _residual(config: dict[str, Any], size: ElementBytes) -> int:
    """Stored bytes of the dropout before the residual, and of the norm."""
    return config["hidden_dim"] * (bool(config["dropout"]) + size.exact)


def masked_lm_cost(
    name: str,
    inputs_dim: int,
    embedding_dim: int,
    vocabulary_size: int,
    slots: int,
    size: ElementBytes,
) -> LayerCost:
    """Returns the cost of `MaskedLMHead` and softmax at `slots` positions."""
    flops = (
        2 * inputs_dim + 1 + ACTIVATION_FLOPS + LAYER_NORM_FLOPS
    ) * embedding_dim
    flops += (2 * embedding_dim + SOFTMAX_FLOPS + 2) * vocabulary_size
    # Inputs of the dense layer, of the activation and of the embeddings; in
    # float32 the inputs of the norm, and the log probabilities.
    kept = (inputs_dim + 2 * embedding_dim) * size.compute
    kept += (embedding_dim + vocabulary_size) * size.exact
    parameters = (inputs_dim + 1 + 2) * embedding_dim + vocabulary_size
    return LayerCost(name, parameters, flops * slots, kept * slots)
