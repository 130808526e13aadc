import os
from typing import Any

import keras
import keras_hub

from keras_convbert.checkpoints.safe_loading import safe_loading
from keras_convbert.compat import classproperty
from keras_convbert.layers.convbert_encoder_block import ConvBertEncoderBlock
from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.layers.dtype_policies import policy_of_parts
from keras_convbert.layers.seeded_dropout import SeededDropout
from keras_convbert.layers.validation import check_no_others
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.layers.validation import check_rates
from keras_convbert.models.base import lora_weights
from keras_convbert.models.base.checked_weights import load_weights
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.layers.packed_sequences import (
    PackedSequences,
)
from keras_convbert.models.convbert.tf1 import loading as tf1_loading
from keras_convbert.models.convbert.transformers.export import export_backbone
from keras_convbert.models.convbert.transformers.files import is_transformers
from keras_convbert.models.convbert.transformers.loading import load_backbone
from keras_convbert.models.presets import saving
from keras_convbert.models.presets.checks import check_preset
from keras_convbert.models.presets.checks import preset_errors
from keras_convbert.models.presets.task_loading import dtype_of_preset
from keras_convbert.types import Activation
from keras_convbert.types import Config
from keras_convbert.types import DType
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertBackbone(keras_hub.models.Backbone):
    """ConvBERT encoder: embeddings, then layers of mixed attention.

    It turns token ids into one vector a token. The weights are random until
    they are trained or loaded; `from_preset("convbert_small",
    load_weights=False)` gives a size of the paper.

    Args:
        vocabulary_size: int. Number of token ids.
        num_layers: int. Number of encoder layers.
        num_heads: int. Heads of a layer before the bottleneck.
        hidden_dim: int. Features of a token inside the encoder.
        intermediate_dim: int. Features inside the feed-forward.
        embedding_dim: int. Features of the embeddings, projected to
            `hidden_dim` where they differ; `None` is `hidden_dim`. Defaults
            to `None`.
        head_ratio: int. Divisor of the number of heads: each branch of the
            mixed attention keeps `max(1, num_heads // head_ratio)`. Defaults
            to `2`.
        kernel_size: int. Positions in a span of the convolution, odd.
            Defaults to `9`.
        num_groups: int. Groups of the feed-forward. Defaults to `1`.
        head_dim: int. Features of a head; `None` is
            `hidden_dim / num_heads`. Defaults to `None`.
        conv: bool. Whether there is a convolution branch. Defaults to `True`.
        mask_conv: bool. Whether the convolution takes padding for zeros, so
            that the padding after a text does not change its result. The
            authors' code and Hugging Face let it leak; their weights want
            `False`. Defaults to `True`.
        dropout: float. Share of features dropped in training. Defaults to
            `0.1`.
        attention_dropout: float. Share of attention probabilities dropped in
            training. Defaults to `0.1`.
        activation: activation of the feed-forward, or its name; `"gelu"` is
            the exact (erf) form. Defaults to `"gelu"`.
        max_sequence_length: int. Longest input. Defaults to `512`.
        num_segments: int. Number of segment ids. Defaults to `2`.
        layer_norm_epsilon: float. Added to variances. Defaults to `1e-12`.
        gradient_checkpointing: bool. Whether each layer is computed again in
            the backward pass instead of keeping its activations. Defaults to
            `False`.
        packed: bool. Whether several sequences may share a row, each with
            what it would get alone: `padding_mask` then has 1 in the first of
            them, 2 in the second and so on, and 0 in the padding, of which
            at least `kernel_size // 2` positions lie between two. Attention
            masks pairs of positions for it, which costs memory; weights are
            the same. Defaults to `False`.
        dtype: dtype policy, or its name; `None` is the global one. Defaults
            to `None`.
        **kwargs: `name` and `trainable`; and `shared_embeddings`, another
            `ConvBertBackbone` whose embeddings and their norm to use.

    Call arguments:
        inputs: dict of integer tensors of shape `(batch, length)`:
            `token_ids`, `segment_ids`, and `padding_mask`, which is 0 at
            padding and 1 elsewhere, or as `packed` says.

    Output shape:
        dict of `sequence_output`, `(batch, length, hidden_dim)`, and
        `pooled_output`, `(batch, hidden_dim)`, the vector of the first token.

    Raises:
        ValueError: if the sizes do not fit each other, if `packed` is wanted
            of a convolution with `mask_conv=False`, or an input is longer
            than `max_sequence_length`.

    Example:

    ```python
    import numpy as np
    from keras_convbert.models import ConvBertBackbone

    backbone = ConvBertBackbone(
        vocabulary_size=100,
        num_layers=2,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=64,
        embedding_dim=16,
    )
    outputs = backbone(
        {
            "token_ids": np.ones((1, 12), dtype="int32"),
            "segment_ids": np.zeros((1, 12), dtype="int32"),
            "padding_mask": np.ones((1, 12), dtype="int32"),
        }
    )
    outputs["sequence_output"].shape  # (1, 12, 32)
    ```

    Reference:
        - [ConvBERT](https://arxiv.org/abs/2008.02496), section 3
    """

    save_to_preset = saving.save_model
    enable_lora = lora_weights.enable_lora
    save_lora_weights = lora_weights.save_lora_weights
    load_lora_weights = lora_weights.load_lora_weights
    load_weights = load_weights
    from_tf1_checkpoint = classmethod(tf1_loading.backbone)
    export_to_transformers = export_backbone

    def __init__(
        self,
        vocabulary_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        intermediate_dim: int,
        embedding_dim: int | None = None,
        head_ratio: int = 2,
        kernel_size: int = 9,
        num_groups: int = 1,
        head_dim: int | None = None,
        conv: bool = True,
        mask_conv: bool = True,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        activation: Activation = "gelu",
        max_sequence_length: int = 512,
        num_segments: int = 2,
        layer_norm_epsilon: float = 1e-12,
        gradient_checkpointing: bool = False,
        packed: bool = False,
        dtype: DType = None,
        **kwargs: Any,
    ) -> None:
        shared = kwargs.pop("shared_embeddings", None)
        embedding_width = hidden_dim if embedding_dim is None else embedding_dim
        check_positive_integers(
            vocabulary_size=vocabulary_size,
            num_layers=num_layers,
            embedding_dim=embedding_width,
            max_sequence_length=max_sequence_length,
            num_segments=num_segments,
        )
        check_rates(dropout=dropout, attention_dropout=attention_dropout)
        check_no_others(kwargs, "name", "trainable")
        if not 0 < layer_norm_epsilon < 1:
            raise ValueError(
                "Invalid value for argument `layer_norm_epsilon`. Expected a "
                "number between 0 and 1. Received: "
                f"layer_norm_epsilon={layer_norm_epsilon}"
            )
        if packed and conv and not mask_conv:
            raise ValueError(
                "Expected `mask_conv=True` where sequences are packed: else "
                "the padding between them leaks from one into the other. "
                f"Received: packed={packed}, mask_conv={mask_conv}"
            )

        # === Layers ===
        if shared is None:
            self.token_embedding = keras.layers.ReversibleEmbedding(
                vocabulary_size,
                embedding_width,
                embeddings_initializer=_initializer(),
                dtype=policy_at(dtype, "token_embedding"),
                name="token_embedding",
            )
            self.segment_embedding = keras.layers.Embedding(
                num_segments,
                embedding_width,
                embeddings_initializer=_initializer(),
                dtype=policy_at(dtype, "segment_embedding"),
                name="segment_embedding",
            )
            self.position_embedding = keras_hub.layers.PositionEmbedding(
                max_sequence_length,
                initializer=_initializer(),
                dtype=dtype,
                name="position_embedding",
            )
            self.embeddings_layer_norm = keras.layers.LayerNormalization(
                epsilon=layer_norm_epsilon,
                dtype=dtype,
                name="embeddings_layer_norm",
            )
        else:
            self.token_embedding = shared.token_embedding
            self.segment_embedding = shared.segment_embedding
            self.position_embedding = shared.position_embedding
            self.embeddings_layer_norm = shared.embeddings_layer_norm
        self.packed_sequences = None
        if packed:
            self.packed_sequences = PackedSequences(
                dtype=dtype, name="packed_sequences"
            )
        self.embeddings_add = keras.layers.Add(
            dtype=dtype, name="embeddings_add"
        )
        self.embeddings_dropout = SeededDropout(
            dropout, dtype=dtype, name="embeddings_dropout"
        )
        self.embeddings_projection = None
        if embedding_width != hidden_dim:
            self.embeddings_projection = keras.layers.Dense(
                hidden_dim,
                dtype=policy_at(dtype, "embeddings_projection"),
                name="embeddings_projection",
            )
        self.transformer_layers = [
            ConvBertEncoderBlock(
                hidden_dim=hidden_dim,
                intermediate_dim=intermediate_dim,
                num_heads=num_heads,
                head_ratio=head_ratio,
                kernel_size=kernel_size,
                head_dim=head_dim,
                num_groups=num_groups,
                conv=conv,
                mask_conv=mask_conv,
                dropout=dropout,
                attention_dropout=attention_dropout,
                activation=activation,
                layer_norm_epsilon=layer_norm_epsilon,
                gradient_checkpointing=gradient_checkpointing,
                dtype=dtype,
                name=f"transformer_layer_{i}",
            )
            for i in range(num_layers)
        ]

        # === Functional Model ===
        inputs = {
            name: keras.Input((None,), dtype="int32", name=name)
            for name in ("token_ids", "segment_ids", "padding_mask")
        }
        tokens = self.token_embedding(inputs["token_ids"])
        segments = self.segment_embedding(inputs["segment_ids"])
        masks = {"padding_mask": inputs["padding_mask"]}
        places = {}
        if self.packed_sequences is not None:
            found = self.packed_sequences(inputs["padding_mask"])
            masks["attention_mask"] = found["attention_mask"]
            places["positions"] = found["positions"]
        positions = self.position_embedding(tokens, **places)
        x = self.embeddings_add([tokens, segments, positions])
        x = self.embeddings_layer_norm(x)
        x = self.embeddings_dropout(x)
        if self.embeddings_projection is not None:
            x = self.embeddings_projection(x)
        for layer in self.transformer_layers:
            x = layer(x, **masks)
        super().__init__(
            inputs=inputs,
            outputs={"sequence_output": x, "pooled_output": x[:, 0, :]},
            dtype=dtype,
            **kwargs,
        )

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.embedding_dim = embedding_dim
        self.head_ratio = head_ratio
        self.kernel_size = kernel_size
        self.num_groups = num_groups
        self.head_dim = head_dim
        self.conv = conv
        self.mask_conv = mask_conv
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.activation = keras.activations.get(activation)
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.layer_norm_epsilon = layer_norm_epsilon
        self.gradient_checkpointing = gradient_checkpointing
        self.packed = packed

    # By name: Keras tells `training` to those alone whose `call` names it.
    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> dict[str, Tensor]:
        if isinstance(inputs, dict) and "token_ids" in inputs:
            length = inputs["token_ids"].shape[1]
            if length is not None and length > self.max_sequence_length:
                raise ValueError(
                    "Expected sequences no longer than `max_sequence_length="
                    f"{self.max_sequence_length}`. Received: "
                    f"token_ids.shape={tuple(inputs['token_ids'].shape)}"
                )
        return super().call(inputs, training=training, mask=mask)

    @classproperty
    def presets(cls) -> Config:
        """The built-in presets, by name: sizes of the paper, no weights."""
        return {
            name: {
                "metadata": {
                    "description": f"{size['description']}. Architecture "
                    "only, wants `load_weights=False`.",
                    "params": size["params"],
                    "path": "convbert",
                }
            }
            for name, size in ARCHITECTURES.items()
        }

    @classmethod
    def from_preset(
        cls, preset: str, load_weights: bool = True, **kwargs: Any
    ) -> "ConvBertBackbone":
        """Makes a backbone from a preset.

        Args:
            preset: string. A folder written by `save_to_preset` or by
                Hugging Face's `transformers` (whose weights leak padding:
                `mask_conv=False`); the handle of one on a hub, as
                `"hf://user/model"`; or the name of a size of the paper:
                `"convbert_small"`, `"convbert_medium_small"`,
                `"convbert_base"`.
            load_weights: bool. Whether to load weights. The sizes of the
                paper have none and want `False`. Defaults to `True`.
            **kwargs: arguments that replace those of the preset.

        Returns:
            A `ConvBertBackbone`.

        Raises:
            CheckpointError: if a file of the preset is damaged, does not fit
                the model, or may do harm. It is a `ValueError`.
            ValueError: if weights are asked of a size that has none, or the
                preset is of another model.

        Example:

        ```python
        from keras_convbert.models import ConvBertBackbone

        backbone = ConvBertBackbone.from_preset(
            "convbert_small", load_weights=False, num_layers=2
        )
        ```
        """
        preset = os.fspath(preset)
        if preset not in ARCHITECTURES:
            if is_transformers(preset):
                with preset_errors(preset):
                    return load_backbone(cls, preset, load_weights, kwargs)
            check_preset(preset, load_weights)
            kwargs["dtype"] = dtype_of_preset(preset, kwargs.get("dtype"))
            with preset_errors(preset, ValueError), safe_loading():
                return super().from_preset(
                    preset, load_weights=load_weights, **kwargs
                )
        if load_weights:
            raise ValueError(
                f'"{preset}" names an architecture, without weights. Expected '
                "`load_weights=False`, or a preset that has weights. "
                f"Received: load_weights={load_weights}"
            )
        return cls(**{**ARCHITECTURES[preset]["config"], **kwargs})

    def get_config(self) -> Config:
        # KerasHub's own would forget the precision that a quantized part had.
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(policy_of_parts(self)),
            "vocabulary_size": self.vocabulary_size,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "intermediate_dim": self.intermediate_dim,
            "embedding_dim": self.embedding_dim,
            "head_ratio": self.head_ratio,
            "kernel_size": self.kernel_size,
            "num_groups": self.num_groups,
            "head_dim": self.head_dim,
            "conv": self.conv,
            "mask_conv": self.mask_conv,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "activation": keras.activations.serialize(self.activation),
            "max_sequence_length": self.max_sequence_length,
            "num_segments": self.num_segments,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "gradient_checkpointing": self.gradient_checkpointing,
            "packed": self.packed,
        }


def _initializer() -> keras.initializers.Initializer:
    """The authors', one for each table, so that tables differ."""
    return keras.initializers.TruncatedNormal(stddev=0.02)
