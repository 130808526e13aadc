from typing import Any

import keras
import keras_hub
import numpy as np

from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.base.batch_prediction import predict_batch
from keras_convbert.models.base.batch_prediction import required_preprocessor
from keras_convbert.models.base.batch_prediction import rounded_up
from keras_convbert.models.base.head_policies import head_config
from keras_convbert.models.base.head_policies import head_policy
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.base.label_losses import warn_of_mismatch
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_masked_lm_preprocessor import (
    ConvBertMaskedLMPreprocessor,
)
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.layers.masked_lm_head import MaskedLMHead
from keras_convbert.models.convbert.tf1.loading import MaskedLMFromTf1
from keras_convbert.text.answer_spans import as_texts
from keras_convbert.text.masked_texts import masked_inputs
from keras_convbert.types import Config


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertMaskedLM(
    MaskedLMFromTf1, ConvBertTask, keras_hub.models.MaskedLM
):
    """ConvBERT for masked-language modeling: predicts masked tokens.

    The head is that of the authors' generator: a dense layer with the width of
    the embeddings, layer norm, the transposed embeddings, and a bias.

    Args:
        backbone: a `ConvBertBackbone`.
        preprocessor: a `ConvBertMaskedLMPreprocessor`; `None` expects
            preprocessed inputs. Defaults to `None`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of the inputs of the backbone and `mask_positions`, of
            shape `(batch, masked)`.

    Output shape:
        `(batch, masked, vocabulary_size)`, the logits.

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
    task_kind = "masked_lm"

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
            backbone.vocabulary_size,
            backbone.token_embedding.output_dim,
            activation=backbone.activation,
            layer_norm_epsilon=backbone.layer_norm_epsilon,
            dtype=head_policy(backbone, kwargs),
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
        masked = self.masked_lm_head(
            sequence_output, mask_positions=inputs["mask_positions"]
        )
        outputs = backbone(
            backbone.input, part="token_logits", vectors=masked["vectors"]
        )
        outputs = outputs + masked["bias"]  # (B, N, V)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def compile(
        self,
        optimizer: Any = "auto",
        loss: Any = "auto",
        *,
        weighted_metrics: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures training.

        Args:
            optimizer: optimizer, or its name; `"auto"` is `training.AdamW`
                with a learning rate of 0.00005. Defaults to `"auto"`.
            loss: loss, or its name; `"auto"` is the mean cross-entropy of
                the masked tokens. Defaults to `"auto"`.
            weighted_metrics: list of metrics; `"auto"` is the accuracy.
                Defaults to `"auto"`.
            **kwargs: arguments of `keras.Model.compile`.
        """
        if isinstance(loss, str) and loss == "auto":
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            )
        warn_of_mismatch(loss, keras.activations.linear)
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            **kwargs,
        )

    def fill_mask(
        self, texts: Any, top_k: int = 5, batch_size: int = 32
    ) -> list[list[list[dict[str, Any]]]]:
        """Returns the most probable tokens for each `[MASK]`.

        Args:
            texts: list of strings, each with at least one `[MASK]`.
            top_k: int. Number of tokens per mask. Defaults to `5`.
            batch_size: int. Texts per step. Defaults to `32`.

        Returns:
            For each text, and for each of its masks, a list of dicts of
            `token`, `token_id` and `probability`, the most probable first.

        Raises:
            ValueError: if a text has no `[MASK]`, or one after
                `sequence_length`, or the task has no preprocessor.
        """
        preprocessor = required_preprocessor(self)
        tokenizer = preprocessor.tokenizer
        check_positive_integers(top_k=top_k, batch_size=batch_size)
        texts = as_texts(texts)
        length = preprocessor.sequence_length
        inputs = masked_inputs(tokenizer, texts, length)
        positions = inputs["mask_positions"]  # (B, N)
        masks = positions.shape[1]
        missing = rounded_up(self, masks, length - 2) - masks
        inputs["mask_positions"] = np.pad(positions, ((0, 0), (0, missing)))
        vocabulary = tokenizer.get_vocabulary()
        found = []
        for first in range(0, len(texts), batch_size):
            part = {k: v[first : first + batch_size] for k, v in inputs.items()}
            logits = predict_batch(self, part, batch_size)  # (B, N, V)
            for scores, positions in zip(
                logits, part["mask_positions"], strict=True
            ):
                scores = scores[np.flatnonzero(positions)]
                found.append([_best(s, vocabulary, top_k) for s in scores])
        return found

    def get_config(self) -> Config:
        return {**super().get_config(), **head_config(self)}


def _best(
    logits: np.ndarray, vocabulary: list[str], top_k: int
) -> list[dict[str, Any]]:
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    best = np.argsort(-probabilities, kind="stable")[:top_k]
    return [
        {
            # The vocabulary may be smaller than the embedding table.
            "token": vocabulary[i] if i < len(vocabulary) else None,
            "token_id": int(i),
            "probability": float(probabilities[i]),
        }
        for i in best
    ]
