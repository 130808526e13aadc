from typing import Any
from typing import Self

import keras
import numpy as np

from keras_convbert.compat import flatten_layers
from keras_convbert.compat import lora_rank
from keras_convbert.layers.dtype_policies import quantized_policies
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.types import Mixin


class ResizesTokenEmbeddings(Mixin):
    """`resize_token_embeddings` of backbones and tasks."""

    def resize_token_embeddings(self, vocabulary_size: int) -> Self:
        """Returns a copy with another number of token ids.

        The copy has the same weights. A weight with one entry per token, such
        as the token embeddings or the output bias of a masked LM, gets or
        loses entries at its end. New entries are the mean of the old ones. The
        copy of a task has the same preprocessor and is not compiled.

        Args:
            vocabulary_size: int. Number of token ids.

        Returns:
            A new model of this class.

        Raises:
            ValueError: if `vocabulary_size` is not positive or smaller than
                the vocabulary of the tokenizer, or if the model is quantized
                or has LoRA.

        Example:

        ```python
        from keras_convbert.models import ConvBertBackbone
        from keras_convbert.models import ConvBertTokenizer

        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "at", "home"]
        tokenizer = ConvBertTokenizer(tokens)
        backbone = ConvBertBackbone(
            vocabulary_size=tokenizer.vocabulary_size(),
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=16,
        )
        tokenizer.add_tokens(["<loc>"])
        backbone = backbone.resize_token_embeddings(
            tokenizer.vocabulary_size()
        )
        backbone.vocabulary_size  # 8
        ```
        """
        check_positive_integers(vocabulary_size=vocabulary_size)
        _check_resizable(self)
        resized: Self = type(self).from_config(
            _config(self, int(vocabulary_size))
        )
        for old, new in zip(
            flatten_layers(self), flatten_layers(resized), strict=True
        ):
            new.trainable = old.trainable
        sizes = (_backbone(self).vocabulary_size, vocabulary_size)
        for old, new in zip(self.weights, resized.weights, strict=True):
            new.assign(_resized(old, new.shape, sizes))
        return resized


def _backbone(model: Any) -> Any:
    return getattr(model, "backbone", model)


def _check_resizable(model: Any) -> None:
    quantized = [*quantized_policies(flatten_layers(model))]
    if quantized or lora_rank(_backbone(model)) is not None:
        raise ValueError(
            "Expected a model that is not quantized and has no LoRA, whose "
            "updates depend on the number of tokens. Save a model with LoRA "
            "by `save_to_preset`, which merges the updates, and load it. "
            f"Received: quantized layers {quantized[:3]}, "
            f"LoRA of rank {lora_rank(_backbone(model))}"
        )


def _config(model: Any, vocabulary_size: int) -> dict[str, Any]:
    config: dict[str, Any] = model.get_config()
    if _backbone(model) is model:
        return {**config, "vocabulary_size": vocabulary_size}
    config["backbone"]["config"]["vocabulary_size"] = vocabulary_size
    return {**config, "preprocessor": model.preprocessor}


def _resized(
    variable: keras.Variable, shape: tuple[int, ...], sizes: tuple[int, int]
) -> np.ndarray:
    """Returns the values of a variable with another number of tokens."""
    values = keras.ops.convert_to_numpy(variable)
    for axis, (old, new) in enumerate(zip(values.shape, shape, strict=True)):
        if old == new:
            continue
        if (old, new) != sizes:
            raise ValueError(
                f"Expected {variable.path!r} to have one entry per token on "
                f"axis {axis}. Received: {old} and {new} entries for "
                f"{sizes[0]} and {sizes[1]} tokens"
            )
        mean = values.astype("float32").mean(axis, keepdims=True)
        added = np.repeat(mean.astype(values.dtype), max(0, new - old), axis)
        kept = np.take(values, range(min(old, new)), axis)
        values = np.concatenate([kept, added], axis)
    return values
