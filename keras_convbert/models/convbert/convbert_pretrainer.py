from collections.abc import Sequence
from typing import Any

import keras
import keras_hub
from keras import ops

from keras_convbert.compat import flatten_layers
from keras_convbert.compat import scale_loss_for_distribution
from keras_convbert.layers.dtype_policies import quantized_policies
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.base.layer_costs import LayerCost
from keras_convbert.models.base.layer_costs import dense_cost
from keras_convbert.models.base.training_data import count_batches
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_costs import masked_lm_cost
from keras_convbert.models.convbert.convbert_generator import make_generator
from keras_convbert.models.convbert.convbert_pretrainer_preprocessor import (
    ConvBertPretrainerPreprocessor,
)
from keras_convbert.models.convbert.convbert_task import ConvBertTask
from keras_convbert.models.convbert.layers.backbone_encoder import (
    BackboneEncoder,
)
from keras_convbert.models.convbert.layers.masked_lm_head import MaskedLMHead
from keras_convbert.models.convbert.masking.dynamic_masking import (
    DynamicMasking,
)
from keras_convbert.models.convbert.masking.replace_tokens import ReplaceTokens
from keras_convbert.models.convbert.masking.row_noise import SampleNoise
from keras_convbert.models.convbert.masking.sample_tokens import SampleTokens
from keras_convbert.models.convbert.masking.token_sets import unpack_ids
from keras_convbert.models.convbert.packed_data import check_dataset
from keras_convbert.models.convbert.tf1.loading import PretrainerFromTf1
from keras_convbert.models.convbert.transformers.export import ExportsEncoder
from keras_convbert.ops.precision import upcast
from keras_convbert.training import AdamW
from keras_convbert.training import WarmupLinearDecay
from keras_convbert.training.per_backend import not_compiled
from keras_convbert.types import Config
from keras_convbert.types import Tensor

INPUTS = ("token_ids", "segment_ids", "padding_mask")
WARMUP_STEPS = 10_000


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertPretrainer(
    PretrainerFromTf1, ExportsEncoder, ConvBertTask, keras_hub.models.Task
):
    """Pretrains a ConvBERT by replaced-token detection (RTD).

    A small generator predicts masked tokens, and samples of its predictions
    replace them. The backbone learns to detect the replaced tokens. Both
    share the embeddings and the embedding norm. Masking and sampling happen in
    the model, with new random numbers in each step; in `evaluate` and
    `predict` they depend on the token ids only.

        loss = mlm_loss + discriminator_weight * rtd_loss

    `mlm_loss` is the mean cross-entropy of the generator over masked tokens.
    `rtd_loss` is the mean binary cross-entropy of the discriminator over all
    tokens that are not padding, with the label 1 for a replaced token.

    Train it with `fit`, then use `.backbone`.

    Args:
        backbone: a `ConvBertBackbone`, the discriminator.
        generator_scale: float. Width of the generator, as a fraction of the
            width of the backbone. Defaults to `0.25`.
        mask_rate: float. Fraction of tokens to predict. Defaults to `0.15`.
        mask_token_rate: float. Probability that such a token becomes
            `[MASK]`; otherwise it is unchanged. Defaults to `0.85`.
        discriminator_weight: float. Weight of `rtd_loss` in the loss.
            Defaults to `50.0`.
        temperature: float. Divides the logits before sampling. Defaults to
            `1.0`.
        mask_token_id: int. Id of `[MASK]`; `None` reads it from the tokenizer
            of the preprocessor. Defaults to `None`.
        special_token_ids: sequence of ints. Ids that are never masked; `None`
            reads them from the tokenizer of the preprocessor. Defaults to
            `None`.
        preprocessor: a `ConvBertPretrainerPreprocessor`; `None` expects
            preprocessed inputs. Defaults to `None`.
        seed: int. Seed of masking and sampling. Defaults to `None`.
        whole_word_masking: bool. Whether to mask all tokens of a word or none.
            Words are selected in random order if they fit into `mask_rate`; a
            word that alone exceeds it is masked if no other fits. Defaults to
            `False`.
        continuation_token_ids: sequence of ints. Ids of tokens that continue a
            word, such as `##s`; `None` reads them from the tokenizer of the
            preprocessor. Only for `whole_word_masking`. Defaults to `None`.
        **kwargs: `name`, `trainable`, and `compile=False` to leave the task
            uncompiled.

    Call arguments:
        inputs: dict of integer tensors of shape `(batch, length)`:
            `token_ids`, `segment_ids`, `padding_mask`.

    Output shape:
        Dict with, of shape `(batch, length)`, `corrupted_token_ids`,
        `rtd_logits` and `rtd_labels`; and, of shape `(batch, masked)`,
        `mask_positions`, `mask_weights` (1 for a used slot, else 0),
        `mask_ids` (the original tokens), `sampled_ids`, `mlm_predictions` and
        `mlm_losses`.

    Raises:
        ValueError: if the sizes of the generator do not divide, a rate is out
            of range, or ids are neither arguments nor known to a tokenizer.

    Example:

    ```python
    import numpy as np
    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertPretrainer

    pretrainer = ConvBertPretrainer(
        ConvBertBackbone(
            vocabulary_size=50,
            num_layers=1,
            num_heads=4,
            hidden_dim=32,
            intermediate_dim=64,
        ),
        mask_token_id=4,
        special_token_ids=[0, 2, 3, 4],
    )
    inputs = {
        "token_ids": np.random.randint(5, 50, size=(4, 16)),
        "segment_ids": np.zeros((4, 16), dtype="int32"),
        "padding_mask": np.ones((4, 16), dtype="int32"),
    }
    pretrainer.fit(inputs, verbose=0)
    ```

    Reference:
        - [ELECTRA](https://arxiv.org/abs/2003.10555), sections 2 and 3
        - [ConvBERT](https://arxiv.org/abs/2008.02496), section 4
    """

    preprocessor_cls = ConvBertPretrainerPreprocessor
    task_kind = "pretrainer"

    _schedules_itself = False

    def __init__(
        self,
        backbone: ConvBertBackbone,
        generator_scale: float = 0.25,
        mask_rate: float = 0.15,
        mask_token_rate: float = 0.85,
        discriminator_weight: float = 50.0,
        temperature: float = 1.0,
        mask_token_id: int | None = None,
        special_token_ids: Sequence[int] | None = None,
        preprocessor: ConvBertPretrainerPreprocessor | None = None,
        seed: int | None = None,
        whole_word_masking: bool = False,
        continuation_token_ids: Sequence[int] | str | None = None,
        **kwargs: Any,
    ) -> None:
        check_fits(backbone, preprocessor)
        _check_is_float(backbone)
        _check_rates(mask_rate, mask_token_rate, temperature)
        mask_token_id, special_token_ids = _token_ids(
            mask_token_id, special_token_ids, preprocessor
        )
        continuation_token_ids = _continuation_ids(
            whole_word_masking, continuation_token_ids, preprocessor
        )

        # === Layers ===
        # In the order of the graph, which on PyTorch is the order of the
        # weights, by which the optimizer state is saved.
        self.preprocessor = preprocessor
        self.mask_tokens = DynamicMasking(
            mask_rate=mask_rate,
            mask_token_rate=mask_token_rate,
            mask_token_id=mask_token_id,
            special_token_ids=special_token_ids,
            seed=seed,
            continuation_token_ids=continuation_token_ids,
            name="mask_tokens",
        )
        self.generator = make_generator(backbone, generator_scale)
        self.mlm_head = MaskedLMHead(
            backbone.vocabulary_size,
            backbone.token_embedding.output_dim,
            activation=backbone.activation,
            layer_norm_epsilon=backbone.layer_norm_epsilon,
            dtype=backbone.dtype_policy,
            name="mlm_head",
        )
        self.sample_noise = SampleNoise(
            seed=None if seed is None else seed + 1, name="sample_noise"
        )
        self.sample_tokens = SampleTokens(
            temperature, dtype=backbone.dtype_policy, name="sample_tokens"
        )
        self.replace_tokens = ReplaceTokens(name="replace_tokens")
        self.backbone = backbone
        self._encoder = BackboneEncoder(backbone, name="discriminator")
        self.rtd_dense, self.rtd_logits = _detection_head(backbone)

        # === Functional Model ===
        inputs = {
            name: keras.Input((None,), dtype="int32", name=name)
            for name in INPUTS
        }
        outputs = self._generate_and_discriminate(inputs)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.generator_scale = generator_scale
        self.mask_rate = mask_rate
        self.mask_token_rate = mask_token_rate
        self.discriminator_weight = discriminator_weight
        self.temperature = temperature
        self.mask_token_id = mask_token_id
        self.special_token_ids = special_token_ids
        self.seed = seed
        self.whole_word_masking = whole_word_masking
        self._make_metrics()

    def _make_metrics(self) -> None:
        self._token_metrics = {
            name: keras.metrics.Mean(name)
            for name in (
                "mlm_loss",
                "mlm_accuracy",
                "sampled_accuracy",
                "rtd_loss",
            )
        }
        self._detection_metrics = [
            keras.metrics.BinaryAccuracy("rtd_accuracy"),
            keras.metrics.AUC(name="rtd_auc"),
            keras.metrics.Precision(name="rtd_precision"),
            keras.metrics.Recall(name="rtd_recall"),
        ]

    def _generate_and_discriminate(
        self, inputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Returns the outputs of masking, generator and discriminator."""
        masked = self.mask_tokens(
            inputs["token_ids"], padding_mask=inputs["padding_mask"]
        )
        generated = self.generator(
            {**inputs, "token_ids": masked.pop("masked_token_ids")}
        )
        head = self.mlm_head(
            generated["sequence_output"], masked["mask_positions"]
        )
        generator_outputs = self.sample_tokens(
            head["vectors"],
            token_table=self.generator(inputs, part="token_table"),
            bias=head["bias"],
            mask_ids=masked["mask_ids"],
            noise=self.sample_noise(
                inputs["token_ids"], mask_positions=masked["mask_positions"]
            ),
        )
        replaced = self.replace_tokens(
            inputs["token_ids"],
            mask_positions=masked["mask_positions"],
            mask_weights=masked["mask_weights"],
            sampled_ids=generator_outputs.pop("sampled_ids"),
        )
        # The generator owns the embeddings that the discriminator shares.
        embedded = self.generator(
            {**inputs, "token_ids": replaced["corrupted_token_ids"]},
            part="embeddings",
        )  # (B, T, E)
        discriminated = self._encoder(
            embedded, padding_mask=inputs["padding_mask"]
        )
        hidden = self.rtd_dense(discriminated)  # (B, T, D)
        rtd_logits = ops.squeeze(self.rtd_logits(hidden), -1)  # (B, T)
        return {
            **masked,
            **generator_outputs,
            **replaced,
            "rtd_logits": upcast(rtd_logits),
        }

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The layers of the graph, with the backbone for its encoder.

        Files name weights by the positions of layers in this list.
        """
        return [
            self.backbone if layer is self._encoder else layer
            for layer in super().layers
        ]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [
            *super().metrics,
            *self._token_metrics.values(),
            *self._detection_metrics,
        ]

    def compile(self, optimizer: Any = "auto", **kwargs: Any) -> None:
        """Configures training; loss and metrics are built in.

        Args:
            optimizer: optimizer, or its name; `"auto"` is `training.AdamW`
                with a learning rate that warms up to 0.0005 over the first
                tenth of the steps of `fit` (at most 10,000) and decays
                linearly to zero at its end. A further `fit` extends the
                decay. Defaults to `"auto"`.
            **kwargs: arguments of `keras.Model.compile` except `loss`.
        """
        self._refuse_loss(kwargs)
        self._schedules_itself = optimizer == "auto"
        if self._schedules_itself:
            optimizer = AdamW(5e-4)
        super().compile(optimizer=optimizer, loss=None, **kwargs)

    def quantize(self, mode: Any = None, **kwargs: Any) -> None:
        """Raises an error, since quantized models cannot be pretrained.

        Args:
            mode: string, an argument of `keras.Model.quantize`. Defaults to
                `None`.
            **kwargs: other arguments of `keras.Model.quantize`.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "A quantized model cannot be pretrained. Expected a call of "
            "`quantize` on another task with the pretrained `.backbone`. "
            f"Received: mode={mode!r}"
        )

    def compile_from_config(self, config: Config) -> None:
        config = dict(config)
        # In files of earlier versions.
        schedules_itself = config.pop("schedules_itself", False)
        super().compile_from_config(config)
        self._schedules_itself = schedules_itself

    def training_flags(self) -> Config:
        return {"schedules_itself": self._schedules_itself}

    def set_training_flags(self, flags: Config) -> None:
        self._schedules_itself = flags.get(
            "schedules_itself", self._schedules_itself
        )

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        # In packed rows the mask holds sequence numbers.
        real = ops.cast(x["padding_mask"], "bool")
        logits = y_pred["rtd_logits"]
        real = ops.cast(real, logits.dtype)  # (B, T)
        masked = ops.cast(y_pred["mask_weights"], logits.dtype)  # (B, N)
        if sample_weight is not None:
            weights = ops.reshape(ops.cast(sample_weight, real.dtype), (-1, 1))
            real, masked = real * weights, masked * weights
        labels = ops.cast(y_pred["rtd_labels"], logits.dtype)
        # RTD: binary cross-entropy of labels y and logits z, in the stable
        # form softplus(z) - y z. The Keras function is slower, since it queries
        # the PyTorch devices in each call.
        rtd_losses = ops.softplus(logits) - labels * logits  # (B, T)
        self._update_metrics(y_pred, masked, real, labels, rtd_losses)
        loss = _weighted_mean(y_pred["mlm_losses"], masked)
        loss += self.discriminator_weight * _weighted_mean(rtd_losses, real)
        for extra in self.losses:
            loss += ops.sum(ops.cast(extra, loss.dtype))
        return scale_loss_for_distribution(loss)

    @not_compiled
    def _update_metrics(
        self,
        y_pred: dict[str, Tensor],
        masked: Tensor,
        real: Tensor,
        labels: Tensor,
        rtd_losses: Tensor,
    ) -> None:
        originals = y_pred["mask_ids"]
        by_name = {
            "mlm_loss": (y_pred["mlm_losses"], masked),
            "mlm_accuracy": (y_pred["mlm_predictions"] == originals, masked),
            "sampled_accuracy": (y_pred["sampled_ids"] == originals, masked),
            "rtd_loss": (rtd_losses, real),
        }
        for name, (values, weights) in by_name.items():
            self._token_metrics[name].update_state(
                ops.cast(values, weights.dtype), sample_weight=weights
            )
        probabilities = ops.sigmoid(y_pred["rtd_logits"])
        # One column, since the accuracy averages over the last axis before it
        # applies weights.
        labels, probabilities, real = (
            ops.reshape(t, (-1, 1)) for t in (labels, probabilities, real)
        )
        for metric in self._detection_metrics:
            metric.update_state(labels, probabilities, sample_weight=real)

    def preprocess_samples(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> Any:
        if y is None:
            # Keras drops sample weights if there are no labels.
            y = sample_weight
        if isinstance(x, dict):
            # The inputs are token ids already.
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        return super().preprocess_samples(x, y, sample_weight)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Trains the task.

        Args:
            x: texts, pairs of texts, or a dict of `token_ids`, `segment_ids`
                and `padding_mask`; or a dataset of these, such as
                `data.PretrainingDataset`. Defaults to `None`.
            *args: arguments of `keras.Model.fit`.
            **kwargs: arguments of `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.
        """
        for dataset in (x, kwargs.get("validation_data")):
            check_dataset(self.backbone, dataset)
        if self._schedules_itself:
            self._schedule(x, kwargs)
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Returns the loss and metrics on samples, given as to `fit`.

        Args:
            x: samples, or a dataset. Defaults to `None`.
            *args: arguments of `keras.Model.evaluate`.
            **kwargs: arguments of `keras.Model.evaluate`.

        Returns:
            As `keras.Model.evaluate` does.
        """
        check_dataset(self.backbone, x)
        return super().evaluate(x, *args, **kwargs)

    def _schedule(self, x: Any, arguments: dict[str, Any]) -> None:
        """Sets a learning-rate schedule for the steps of this `fit`."""
        done = int(ops.convert_to_numpy(self.optimizer.iterations))
        steps = arguments.get("steps_per_epoch") or count_batches(
            x, arguments.get("batch_size")
        )
        total, warmup = None, WARMUP_STEPS
        if steps is not None:
            epochs = arguments.get("epochs", 1)
            if done:
                epochs -= arguments.get("initial_epoch", 0)
            total = done + steps * epochs
            warmup = min(WARMUP_STEPS, total // 10)
        self.optimizer.learning_rate = WarmupLinearDecay(5e-4, warmup, total)
        # The old learning rate may be a constant in the compiled step.
        self.train_function = None

    def layer_costs(
        self, length: int, size: ElementBytes, dense_lookup: bool = False
    ) -> list[LayerCost]:
        generator, backbone = self.generator, self.backbone
        hidden = backbone.hidden_dim
        options = (length, size, dense_lookup)
        return [
            *generator.layer_costs(
                generator.get_config(), *options, prefix="generator/"
            ),
            masked_lm_cost(
                "mlm_head",
                generator.hidden_dim,
                backbone.token_embedding.output_dim,
                backbone.vocabulary_size,
                self.mask_tokens.slots(length),
                size,
            ),
            *backbone.layer_costs(backbone.get_config(), *options),
            dense_cost("rtd_dense", hidden, hidden, True, length, size),
            dense_cost("rtd_logits", hidden, 1, False, length, size),
        ]

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "generator_scale": self.generator_scale,
            "mask_rate": self.mask_rate,
            "mask_token_rate": self.mask_token_rate,
            "discriminator_weight": self.discriminator_weight,
            "temperature": self.temperature,
            "mask_token_id": self.mask_token_id,
            "special_token_ids": list(self.special_token_ids),
            "seed": self.seed,
            "whole_word_masking": self.whole_word_masking,
            "continuation_token_ids": self.mask_tokens.get_config()[
                "continuation_token_ids"
            ],
        }


def _detection_head(
    backbone: ConvBertBackbone,
) -> tuple[keras.layers.Dense, keras.layers.Dense]:
    """Returns the layers of `logits = rtd_logits(activation(rtd_dense(x)))`."""
    dtype = backbone.dtype_policy
    dense = keras.layers.Dense(
        backbone.hidden_dim,
        activation=backbone.activation,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        dtype=dtype,
        name="rtd_dense",
    )
    return dense, keras.layers.Dense(1, dtype=dtype, name="rtd_logits")


def _token_ids(
    mask_token_id: int | None,
    special_token_ids: Sequence[int] | None,
    preprocessor: ConvBertPretrainerPreprocessor | None,
) -> tuple[int, list[int]]:
    tokenizer = getattr(preprocessor, "tokenizer", None)
    if tokenizer is not None and tokenizer.vocabulary is not None:
        if mask_token_id is None:
            mask_token_id = tokenizer.mask_token_id
        if special_token_ids is None:
            special_token_ids = tokenizer.special_token_ids
    if mask_token_id is None or special_token_ids is None:
        raise ValueError(
            "Expected `mask_token_id` and `special_token_ids`, or a "
            "`preprocessor` whose tokenizer knows them. Received: "
            f"mask_token_id={mask_token_id}, "
            f"special_token_ids={special_token_ids}, "
            f"preprocessor={preprocessor}"
        )
    return mask_token_id, sorted(special_token_ids)


def _continuation_ids(
    whole_word_masking: bool,
    ids: Sequence[int] | str | None,
    preprocessor: ConvBertPretrainerPreprocessor | None,
) -> list[int] | None:
    """Returns the ids of tokens that continue a word, `None` if not needed."""
    if not whole_word_masking:
        if ids is not None:
            raise ValueError(
                "Expected `whole_word_masking=True` with "
                "`continuation_token_ids`. Received: "
                f"whole_word_masking={whole_word_masking!r}"
            )
        return None
    if isinstance(ids, str):
        return unpack_ids(ids)
    if ids is not None:
        return sorted(ids)
    tokenizer = getattr(preprocessor, "tokenizer", None)
    if tokenizer is None or tokenizer.vocabulary is None:
        raise ValueError(
            "Expected `continuation_token_ids` for `whole_word_masking`, or a "
            "`preprocessor` whose tokenizer knows them. Received: "
            f"continuation_token_ids=None, preprocessor={preprocessor}"
        )
    tokens = tokenizer.get_vocabulary()
    return [i for i, token in enumerate(tokens) if token.startswith("##")]


def _check_is_float(backbone: ConvBertBackbone) -> None:
    quantized = [*quantized_policies(flatten_layers(backbone))]
    if quantized:
        raise ValueError(
            "A quantized model cannot be pretrained. Expected a backbone that "
            "is not quantized. "
            f"Received: quantized layers {quantized[:3]}"
        )


def _check_rates(
    mask_rate: float, mask_token_rate: float, temperature: float
) -> None:
    if not 0 < mask_rate < 1 or not 0 <= mask_token_rate <= 1:
        raise ValueError(
            "Expected `mask_rate` between 0 and 1, and `mask_token_rate` from "
            f"0 to 1. Received: mask_rate={mask_rate}, "
            f"mask_token_rate={mask_token_rate}"
        )
    if not temperature > 0:
        raise ValueError(
            "Expected `temperature` to be greater than 0. "
            f"Received: temperature={temperature}"
        )


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return ops.sum(values * weights) / (ops.sum(weights) + 1e-6)
