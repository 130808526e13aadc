from typing import Any

import keras
import keras_hub
from keras import ops

from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.convbert_text_embedder_preprocessor import (
    ConvBertTextEmbedderPreprocessor,
)
from keras_convbert.ops.precision import upcast
from keras_convbert.types import Config

POOLINGS = ("mean", "first")


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTextEmbedder(ConvBertTask, keras_hub.models.TextEmbedder):
    """ConvBERT for text embeddings: one vector per text.

    It adds no weights to the backbone. To train it, compile it with a loss.

    Args:
        backbone: a `ConvBertBackbone`.
        preprocessor: a `ConvBertTextEmbedderPreprocessor`; `None` expects
            preprocessed inputs. Defaults to `None`.
        pooling: string. `"mean"` averages the tokens that are not padding;
            `"first"` takes the vector of `[CLS]`. Defaults to `"mean"`.
        normalize: bool. Whether to scale vectors to unit length, so that dot
            products are cosine similarities. Defaults to `True`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone.

    Output shape:
        `(batch, hidden_dim)`, in float32 or wider.

    Raises:
        ValueError: if `pooling` is unknown, or the preprocessor does not fit
            the backbone.

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
        **kwargs: Any,
    ) -> None:
        if pooling not in POOLINGS:
            raise ValueError(
                f"Invalid value for argument `pooling`. Expected one of "
                f"{POOLINGS}. Received: pooling={pooling!r}"
            )
        check_fits(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor

        # === Functional Model ===
        outputs = backbone(backbone.input)
        if pooling == "first":
            x = upcast(outputs["pooled_output"])
        else:
            x = upcast(outputs["sequence_output"])
            mask = ops.cast(backbone.input["padding_mask"], x.dtype)
            total = ops.sum(x * ops.expand_dims(mask, -1), axis=1)  # (B, D)
            count = ops.sum(mask, axis=1, keepdims=True)
            x = total / ops.maximum(count, 1.0)
        if normalize:
            x = ops.normalize(x, axis=-1)
        super().__init__(inputs=backbone.input, outputs=x, **kwargs)

        # === Config ===
        self.pooling = pooling
        self.normalize = normalize

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "normalize": self.normalize,
        }
