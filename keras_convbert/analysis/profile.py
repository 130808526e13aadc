import inspect
import os
from typing import Any

import keras
import keras_hub

from keras_convbert.analysis.cost_table import LayerCost
from keras_convbert.analysis.cost_table import Profile
from keras_convbert.analysis.encoder_costs import Bytes
from keras_convbert.analysis.encoder_costs import block_costs
from keras_convbert.analysis.encoder_costs import embedding_costs
from keras_convbert.analysis.head_costs import dense_cost
from keras_convbert.analysis.head_costs import masked_lm_cost
from keras_convbert.analysis.head_costs import task_head_costs
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.types import Config

ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


def profile(
    model_or_config: Any, sequence_length: int, dense_lookup: bool = False
) -> Profile:
    """Parameters, FLOPs and activations of a ConvBERT, layer by layer.

    They are reckoned from its sizes; nothing is run, and of a config no model
    is made.

    Parameters are those of `count_params()`, before quantization and without
    what LoRA adds.

    FLOPs are those of a forward pass over one sequence, counted as ELECTRA's
    `flops_computation.py` does, and with it the papers: 2 for a product and
    its sum, and a few for each element of a norm (5), a softmax (5), an
    activation (8) and a dropout (4). A backward pass has as many by its
    count; with the gradients of both factors it has twice as many.

    Activation bytes are what a training step keeps of one sequence from the
    forward to the backward pass: each tensor that a gradient needs, once, in
    the dtype that the model computes in; what goes into a norm, and what
    comes out of a softmax, in float32; one byte an element for the choice of
    a dropout. A norm, an activation, a dropout and a softmax each count as
    one operation, and attention without dropout keeps no scores. With
    `gradient_checkpointing` a block keeps its inputs alone; in the backward
    pass those of one block come on top. Left out are ids and masks, which are
    small, and what a backend keeps beside: compilers keep less, and
    TensorFlow's graphs more.

    Args:
        model_or_config: a `ConvBertBackbone`, a `ConvBertPretrainer`, or
            another task; or a dict of the arguments of a backbone; or what
            `ConvBertBackbone.from_preset` takes, as `"convbert_base"`.
        sequence_length: int. Tokens of the sequence.
        dense_lookup: bool. Whether to count lookups of embeddings as products
            with the whole table, as ELECTRA's and ConvBERT's authors did for
            what their papers print. Defaults to `False`.

    Returns:
        A `Profile`.

    Raises:
        ValueError: if an argument is none of these, a config lacks a size or
            has an unknown one, or the sequence is longer than the model
            takes.

    Example:

    ```python
    from keras_convbert import analysis

    found = analysis.profile("convbert_small", 128)
    found.parameters  # 13143768
    print(found)
    ```

    Reference:
        - [ELECTRA](https://arxiv.org/abs/2003.10555), appendix on FLOPs, and
          its `flops_computation.py`
    """
    config, policy = _config(model_or_config)
    if (
        not isinstance(sequence_length, int)
        or not 0 < sequence_length <= config["max_sequence_length"]
    ):
        raise ValueError(
            "Expected `sequence_length` from 1 to `max_sequence_length="
            f"{config['max_sequence_length']}`. Received: "
            f"sequence_length={sequence_length}"
        )
    item = ITEM_BYTES[policy.compute_dtype]
    size = Bytes(item, max(item, 4))
    length = sequence_length
    rows = _encoder(config, length, size, dense_lookup)
    if isinstance(model_or_config, ConvBertPretrainer):
        rows = _pretrainer(model_or_config, rows, length, size, dense_lookup)
    elif isinstance(model_or_config, keras_hub.models.Task):
        rows += task_head_costs(model_or_config, length, size)
    return Profile(tuple(rows), length, policy.compute_dtype)


def _encoder(
    config: Config,
    length: int,
    size: Bytes,
    dense_lookup: bool,
    prefix: str = "",
) -> list[LayerCost]:
    rows = embedding_costs(config, length, size, dense_lookup, prefix)
    for number in range(config["num_layers"]):
        name = f"{prefix}transformer_layer_{number}/"
        rows += block_costs(config, length, size, name)
    return rows


def _pretrainer(
    model: ConvBertPretrainer,
    encoder: list[LayerCost],
    length: int,
    size: Bytes,
    dense_lookup: bool,
) -> list[LayerCost]:
    generator, hidden = model.generator, model.backbone.hidden_dim
    rows = _encoder(
        generator.get_config(), length, size, dense_lookup, "generator/"
    )
    guesses = masked_lm_cost(
        "mlm_head",
        generator.hidden_dim,
        model.backbone.token_embedding.output_dim,
        model.backbone.vocabulary_size,
        model.mask_tokens.slots(length),
        size,
    )
    judged = [
        dense_cost("rtd_dense", hidden, hidden, True, length, size),
        dense_cost("rtd_logits", hidden, 1, False, length, size),
    ]
    return [*rows, guesses, *encoder, *judged]


def _config(model_or_config: Any) -> tuple[Config, keras.DTypePolicy]:
    """All arguments of the backbone, and its dtype policy."""
    backbone = getattr(model_or_config, "backbone", model_or_config)
    if isinstance(backbone, ConvBertBackbone):
        return backbone.get_config(), backbone.dtype_policy
    if isinstance(backbone, str | os.PathLike):
        name = os.fspath(backbone)
        if name not in ARCHITECTURES:
            found = ConvBertBackbone.from_preset(name, load_weights=False)
            return found.get_config(), found.dtype_policy
        backbone = ARCHITECTURES[name]["config"]
    if not isinstance(backbone, dict):
        raise ValueError(
            "Expected a ConvBertBackbone, a task that has one, a dict of its "
            "arguments, or the name of a preset. Received: model_or_config="
            f"{model_or_config!r}"
        )
    config = _completed(backbone)
    policy = config["dtype"] or keras.config.dtype_policy()
    return config, keras.dtype_policies.get(policy)


def _completed(config: Config) -> Config:
    """The config with the defaults of `ConvBertBackbone`."""
    parameters = inspect.signature(ConvBertBackbone.__init__).parameters
    known = {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in ("self", "kwargs")
    }
    unknown = config.keys() - known.keys() - {"name", "trainable"}
    whole = {**known, **config}
    missing = [
        name
        for name, value in whole.items()
        if value is inspect.Parameter.empty
    ]
    if unknown or missing:
        raise ValueError(
            "Expected the arguments of a ConvBertBackbone. Received: unknown "
            f"{sorted(unknown)}, missing {missing}"
        )
    return whole
