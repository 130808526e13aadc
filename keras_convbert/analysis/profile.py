import inspect
import os
from typing import Any

import keras
import keras_hub

from keras_convbert.analysis.cost_table import Profile
from keras_convbert.models.base.backbone import Backbone
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.presets.family import backbone_classes
from keras_convbert.types import Config

ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


def profile(
    model_or_config: Any, sequence_length: int, dense_lookup: bool = False
) -> Profile:
    """Returns the parameters, FLOPs and activations of each layer of a model.

    The costs are computed from the sizes of the model. No model is run, and no
    model is made from a configuration.

    Parameters are those of `count_params()`, before quantization and without
    LoRA.

    FLOPs are those of a forward pass over one sequence, counted as in the
    ELECTRA script `flops_computation.py` and the papers: 2 per multiply-add,
    and 5 per element of a norm or a softmax, 8 of an activation, and 4 of a
    dropout. The script counts the same number for a backward pass; with the
    gradients of both factors, a backward pass has twice as many.

    Activation bytes are the tensors that a training step keeps per sequence
    for the backward pass, each counted once, in the compute dtype. Inputs of
    norms and outputs of softmax are float32, and a dropout mask takes one byte
    per element. A norm, an activation, a dropout and a softmax each count as
    one operation, and attention without dropout keeps no scores. With
    `gradient_checkpointing`, a block keeps only its inputs, and the backward
    pass adds the activations of one block. Ids and masks are small and are not
    counted. Compilers keep less, and TensorFlow graphs keep more.

    Args:
        model_or_config: a backbone or a task; a dict of arguments of a
            backbone; or a preset of a backbone, for example `"convbert_base"`.
        sequence_length: int. Tokens per sequence.
        dense_lookup: bool. Whether to count an embedding lookup as a matrix
            product with the whole table, as the ELECTRA and ConvBERT papers
            do. Defaults to `False`.

    Returns:
        A `Profile`.

    Raises:
        ValueError: if an argument is of another type, if a configuration has
            missing or unknown arguments, or if `sequence_length` is larger
            than `max_sequence_length`.

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
    cls, config, policy = _backbone(model_or_config)
    if (
        not isinstance(sequence_length, int)
        or not 0 < sequence_length <= config["max_sequence_length"]
    ):
        raise ValueError(
            "Expected `sequence_length` to be from 1 to `max_sequence_length="
            f"{config['max_sequence_length']}`. Received: "
            f"sequence_length={sequence_length}"
        )
    item = ITEM_BYTES[policy.compute_dtype]
    size = ElementBytes(item, max(item, 4))
    if isinstance(model_or_config, keras_hub.models.Task):
        task: Any = model_or_config
        rows = task.layer_costs(sequence_length, size, dense_lookup)
    else:
        rows = cls.layer_costs(config, sequence_length, size, dense_lookup)
    return Profile(tuple(rows), sequence_length, policy.compute_dtype)


def _backbone(
    model_or_config: Any,
) -> tuple[type[Backbone], Config, keras.DTypePolicy]:
    """Returns the backbone class, its arguments and its dtype policy."""
    backbone = getattr(model_or_config, "backbone", model_or_config)
    if isinstance(backbone, str | os.PathLike):
        backbone = _from_preset(os.fspath(backbone))
    if isinstance(backbone, Backbone):
        return type(backbone), backbone.get_config(), backbone.dtype_policy
    if not isinstance(backbone, dict):
        raise ValueError(
            "Expected `model_or_config` to be a backbone, a task with a "
            "backbone, a dict of backbone arguments, or the name of a preset. "
            "Received: model_or_config="
            f"{model_or_config!r}"
        )
    cls, config = _completed(backbone)
    policy = config["dtype"] or keras.config.dtype_policy()
    return cls, config, keras.dtype_policies.get(policy)


def _from_preset(name: str) -> Any:
    """Returns a backbone, or the arguments of an architecture."""
    for cls in backbone_classes():
        if name in cls.family.architectures:
            return cls.family.architectures[name]["config"]
    errors = []
    for cls in backbone_classes():
        try:
            return cls.from_preset(name, load_weights=False)
        except ValueError as error:
            errors.append(error)
    raise errors[0]


def _completed(config: Config) -> tuple[type[Backbone], Config]:
    """Returns the matching backbone class, and the config with defaults."""
    faults = {cls: _faults(config, cls) for cls in backbone_classes()}
    cls = min(faults, key=lambda cls: sum(map(len, faults[cls])))
    unknown, missing = faults[cls]
    if unknown or missing:
        raise ValueError(
            f"Expected the arguments of {cls.__name__}. Received: unknown "
            f"{unknown}, missing {missing}"
        )
    return cls, {**_defaults(cls), **config}


def _faults(config: Config, cls: type[Any]) -> tuple[list[str], list[str]]:
    known = _defaults(cls)
    unknown = config.keys() - known.keys() - {"name", "trainable"}
    missing = [
        name
        for name, value in {**known, **config}.items()
        if value is inspect.Parameter.empty
    ]
    return sorted(unknown), missing


def _defaults(cls: type[Any]) -> Config:
    parameters = inspect.signature(cls.__init__).parameters
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in ("self", "kwargs")
    }
