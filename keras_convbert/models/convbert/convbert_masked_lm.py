from typing import Any

import keras
import keras_hub

from keras_convbert.models.convbert import task_presets
from keras_convbert.models.convbert import tf1_loading
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_masked_lm_preprocessor import (
    ConvBertMaskedLMPreprocessor,
)
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.masked_lm_head import MaskedLMHead
from keras_convbert.models.convbert.preprocessor_checks import check_fits
from keras_convbert.training import AdamW
from keras_convbert.types import Config


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertMaskedLM(ConvBertTask, keras_hub.models.MaskedLM):
    """ConvBERT that guesses hidden tokens.

    The head is that of the authors' generator: a dense layer to the width of
    the embeddings, layer norm, and the embeddings themselves, with a bias.

    Args:
        backbone: a `ConvBertBackbone`.
        preprocessor: a `ConvBertMaskedLMPreprocessor`; with `None` inputs
            are taken as they are. Defaults to `None`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone and `mask_positions`,
            `(batch, masked)`.

    Output shape:
        logits, `(batch, masked, vocabulary_size)`.

    Example:

    ```python
    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertMaskedLM
    from keras_convbert.models import ConvBertMaskedLMPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
    masked_lm = ConvBertMaskedLM(
        ConvBertBackbone(
            vocabulary_size=len(tokens),
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=16,
        ),
        preprocessor=ConvBertMaskedLMPreprocessor(
            ConvBertTokenizer(tokens),
            sequence_length=8,
            mask_selection_length=2,
        ),
    )
    masked_lm.fit(["a b c", "c b a"], verbose=0)
    ```

    Reference:
        - [ELECTRA](https://arxiv.org/abs/2003.10555), section 2
    """

    preprocessor_cls = ConvBertMaskedLMPreprocessor

    from_tf1_checkpoint = classmethod(tf1_loading.masked_lm)

    def __init__(
        self,
        backbone: ConvBertBackbone,
        preprocessor: ConvBertMaskedLMPreprocessor | None = None,
        **kwargs: Any,
    ) -> None:
        check_fits(backbone, preprocessor)
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.masked_lm_head = MaskedLMHead(
            backbone.token_embedding,
            activation=backbone.activation,
            layer_norm_epsilon=backbone.layer_norm_epsilon,
            dtype=task_presets.head_policy(backbone, kwargs),
            name="mlm_head",
        )

        # === Functional Model ===
        inputs = {
            **backbone.input,
            "mask_positions": keras.Input(
                (None,), dtype="int32", name="mask_positions"
            ),
        }
        sequence_output = backbone(backbone.input)["sequence_output"]
        outputs = self.masked_lm_head(
            sequence_output, mask_positions=inputs["mask_positions"]
        )
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        weighted_metrics: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Sets up training.

        Args:
            optimizer: optimizer, or its name; `"auto"` is `training.AdamW`
                at a rate of 0.00005. Defaults to `"auto"`.
            loss: loss, or its name; `"auto"` is the cross-entropy, a mean
                over the hidden tokens. Defaults to `"auto"`.
            weighted_metrics: list of metrics; `"auto"` is the accuracy.
                Defaults to `"auto"`.
            **kwargs: arguments of `keras.Model.compile`.
        """
        if isinstance(optimizer, str) and optimizer == "auto":
            optimizer = AdamW(5e-5)
        if isinstance(loss, str) and loss == "auto":
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            )
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            **kwargs,
        )

    def get_config(self) -> Config:
        return {**super().get_config(), **task_presets.head_config(self)}
