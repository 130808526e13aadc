from typing import Any

import keras
import keras_hub
from keras import ops

from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.base.head_policies import head_config
from keras_convbert.models.base.head_policies import head_policy
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.convbert_text_embedder_preprocessor import (
    ConvBertTextEmbedderPreprocessor,
)
from keras_convbert.models.convbert.layers.max_pooling import MaxPooling
from keras_convbert.models.convbert.transformers.export import ExportsEmbedder
from keras_convbert.ops.precision import upcast
from keras_convbert.types import Activation
from keras_convbert.types import Config
from keras_convbert.types import Tensor

POOLINGS = ("mean", "first", "max")


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTextEmbedder(
    ExportsEmbedder, ConvBertTask, keras_hub.models.TextEmbedder
):
    """ConvBERT for text embeddings: one vector per text.

    Without a projection, it adds no weights to the backbone. To train it,
    compile it with a loss.

    Args:
        backbone: a `ConvBertBackbone`.
        preprocessor: a `ConvBertTextEmbedderPreprocessor`; `None` expects
            preprocessed inputs. Defaults to `None`.
        pooling: string. `"mean"` averages the tokens that are not padding;
            `"first"` takes the vector of `[CLS]`; `"max"` takes the largest
            value of each feature. Defaults to `"mean"`.
        normalize: bool. Whether to scale vectors to unit length, so that dot
            products are cosine similarities. Defaults to `True`.
        projection_dim: int. Width of a dense layer between pooling and
            normalization; `None` for no such layer. Defaults to `None`.
        projection_activation: activation of that layer. Defaults to `None`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone.

    Output shape:
        `(batch, projection_dim or hidden_dim)`, in float32 or wider.

    Raises:
        ValueError: if `pooling` is unknown, `projection_dim` is not positive,
            or the preprocessor does not fit the backbone.

    Example:

    ```python
    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertTextEmbedder
    from keras_convbert.models import ConvBertTextEmbedderPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
    embedder = ConvBertTextEmbedder(
        ConvBertBackbone(
            vocabulary_size=len(tokens),
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=16,
        ),
        preprocessor=ConvBertTextEmbedderPreprocessor(
            ConvBertTokenizer(tokens), sequence_length=8
        ),
    )
    vectors = embedder.predict(["good", "bad"], verbose=0)
    vectors @ vectors.T  # cosines, (2, 2)
    ```

    Reference:
        - [Sentence-BERT](https://arxiv.org/abs/1908.10084), section 3
    """

    preprocessor_cls = ConvBertTextEmbedderPreprocessor
    task_kind = "text_embedder"

    def __init__(
        self,
        backbone: ConvBertBackbone,
        preprocessor: ConvBertTextEmbedderPreprocessor | None = None,
        pooling: str = "mean",
        normalize: bool = True,
        projection_dim: int | None = None,
        projection_activation: Activation = None,
        **kwargs: Any,
    ) -> None:
        if pooling not in POOLINGS:
            raise ValueError(
                f"Invalid value for argument `pooling`. Expected one of "
                f"{POOLINGS}. Received: pooling={pooling!r}"
            )
        _check_projection(projection_dim, projection_activation)
        check_fits(backbone, preprocessor)
        dtype = head_policy(backbone, kwargs)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.projection = None
        if projection_dim is not None:
            self.projection = keras.layers.Dense(
                projection_dim,
                activation=projection_activation,
                dtype=policy_at(dtype, "projection"),
                name="projection",
            )

        # === Functional Model ===
        x = _pooled(
            backbone(backbone.input), backbone.input["padding_mask"], pooling
        )  # (B, D)
        if self.projection is not None:
            x = upcast(self.projection(x))
        if normalize:
            x = ops.normalize(x, axis=-1)
        super().__init__(inputs=backbone.input, outputs=x, **kwargs)

        # === Config ===
        self.pooling = pooling
        self.normalize = normalize
        self.projection_dim = projection_dim
        self.projection_activation = keras.activations.get(
            projection_activation
        )

    def get_config(self) -> Config:
        config = {
            **super().get_config(),
            **head_config(self),
            "pooling": self.pooling,
            "normalize": self.normalize,
            "projection_dim": self.projection_dim,
        }
        if self.projection is not None:
            config["projection_activation"] = keras.activations.serialize(
                self.projection_activation
            )
        return config


def _check_projection(dim: int | None, activation: Activation) -> None:
    if dim is not None:
        check_positive_integers(projection_dim=dim)
    elif activation is not None:
        raise ValueError(
            "Expected `projection_dim` with `projection_activation`. Received: "
            f"projection_dim=None, projection_activation={activation!r}"
        )


def _pooled(outputs: dict[str, Tensor], mask: Tensor, pooling: str) -> Tensor:
    """Returns one vector per text, `(B, D)`, in float32 or wider."""
    if pooling == "first":
        return upcast(outputs["pooled_output"])
    x = upcast(outputs["sequence_output"])
    if pooling == "max":
        return MaxPooling(dtype=x.dtype, name="max_pooling")(x, mask)
    mask = ops.expand_dims(ops.cast(mask, x.dtype), -1)  # (B, T, 1)
    total = ops.sum(x * mask, axis=1)
    return total / ops.maximum(ops.sum(mask, axis=1), 1.0)
