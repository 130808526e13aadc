from typing import Any

import keras
import keras_hub
from keras import ops

from keras_convbert.layers.convbert_encoder_block import ConvBertEncoderBlock
from keras_convbert.layers.dtype_policies import policy_at
from keras_convbert.layers.dtype_policies import policy_of_parts
from keras_convbert.layers.seeded_dropout import SeededDropout
from keras_convbert.layers.validation import check_no_others
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.layers.validation import check_rates
from keras_convbert.models.base.backbone import Backbone
from keras_convbert.models.base.layer_costs import ElementBytes
from keras_convbert.models.base.layer_costs import LayerCost
from keras_convbert.models.convbert.convbert_costs import block_costs
from keras_convbert.models.convbert.convbert_costs import embedding_costs
from keras_convbert.models.convbert.convbert_family import CONVBERT
from keras_convbert.models.convbert.layers.backbone_encoder import encode
from keras_convbert.models.convbert.layers.packed_sequences import (
    PackedSequences,
)
from keras_convbert.models.convbert.layers.sum_embeddings import SumEmbeddings
from keras_convbert.models.convbert.tf1.loading import BackboneFromTf1
from keras_convbert.models.convbert.transformers.export import ExportsBackbone
from keras_convbert.ops.sizes import first_or_zeros
from keras_convbert.types import Activation
from keras_convbert.types import Config
from keras_convbert.types import DType
from keras_convbert.types import Tensor

PARTS = ("embeddings", "token_table", "token_logits")


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertBackbone(BackboneFromTf1, ExportsBackbone, Backbone):
    """ConvBERT encoder: embeddings and a stack of mixed-attention layers.

    It maps token ids to one vector per token. The constructor gives random
    weights; `from_preset("convbert_small", load_weights=False)` does so for an
    architecture of the paper.

    Args:
        vocabulary_size: int. Number of token ids.
        num_layers: int. Number of encoder layers.
        num_heads: int. Heads per layer before the bottleneck.
        hidden_dim: int. Features per token inside the encoder.
        intermediate_dim: int. Features inside the feed-forward.
        embedding_dim: int. Features of the embeddings, which are projected
            to `hidden_dim` if different; `None` is `hidden_dim`. Defaults to
            `None`.
        head_ratio: int. Divisor of the number of heads: each branch of the
            mixed attention keeps `max(1, num_heads // head_ratio)`. Defaults
            to `2`.
        kernel_size: int. Positions in a span of the convolution, odd.
            Defaults to `9`.
        num_groups: int. Groups of the feed-forward. Defaults to `1`.
        head_dim: int. Features per head; `None` is
            `hidden_dim / num_heads`. Defaults to `None`.
        conv: bool. Whether there is a convolution branch. Defaults to `True`.
        mask_conv: bool. Whether to zero padded positions before the
            convolution, so that padding does not change the outputs of a
            text. The code of the authors and `transformers` let padding leak;
            their weights need `False`. Defaults to `True`.
        dropout: float. Fraction of features dropped in training. Defaults to
            `0.1`.
        attention_dropout: float. Fraction of attention probabilities dropped
            in training. Defaults to `0.1`.
        activation: activation of the feed-forward, or its name; `"gelu"` is
            the exact (erf) form. Defaults to `"gelu"`.
        max_sequence_length: int. Longest input. Defaults to `512`.
        num_segments: int. Number of segment ids. Defaults to `2`.
        layer_norm_epsilon: float. Added to variances. Defaults to `1e-12`.
        gradient_checkpointing: bool. Whether to recompute each layer in the
            backward pass instead of storing its activations. Defaults to
            `False`.
        packed: bool. Whether a row may hold several sequences, each with the
            same outputs as in a separate row. `padding_mask` is then 1 in the
            first sequence, 2 in the second and so on, and 0 at padding. At
            least `kernel_size // 2` padded positions must separate two
            sequences. The attention mask has the shape `(batch, length,
            length)` and needs more memory. The weights are the same.
            Defaults to `False`.
        dtype: dtype policy, or its name; `None` is the global one. Defaults
            to `None`.
        **kwargs: `name` and `trainable`; and `shared_embeddings`, another
            `ConvBertBackbone` whose embeddings and embedding norm to share.

    Call arguments:
        inputs: dict of integer tensors of shape `(batch, length)`:
            `token_ids`, `segment_ids`, and `padding_mask`, which is 0 at
            padding and 1 elsewhere, or the number of the sequence (see
            `packed`).
        part: string. Part of the backbone to call instead of the whole, for
            heads with tied embeddings: `"embeddings"`, `"token_table"` or
            `"token_logits"`. `None` is the whole. Defaults to `None`.
        vectors: tensor of shape `(batch, masked, embedding_dim)`, required
            for `part="token_logits"`. Defaults to `None`.

    Output shape:
        dict of `sequence_output`, `(batch, length, hidden_dim)`, and
        `pooled_output`, `(batch, hidden_dim)`, the vector of the first token.
        With `part` one tensor: the normalized embeddings, `(batch, length,
        embedding_dim)`; the table of token embeddings, `(vocabulary_size,
        embedding_dim)`; or the products of `vectors` and that table, `(batch,
        masked, vocabulary_size)`.

    Raises:
        ValueError: if the sizes do not match, if `packed` is combined with a
            convolution and `mask_conv=False`, or if an input is longer than
            `max_sequence_length`.

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

    small = ConvBertBackbone.from_preset(
        "convbert_small", load_weights=False, num_layers=2
    )
    ```

    Reference:
        - [ConvBERT](https://arxiv.org/abs/2008.02496), section 3
    """

    family = CONVBERT

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
        self._check_config(kwargs)
        shared = kwargs.pop("shared_embeddings", None)

        # === Layers ===
        self._make_embeddings(shared, dtype)
        self.transformer_layers = [
            self._make_block(f"transformer_layer_{i}", dtype)
            for i in range(num_layers)
        ]

        # === Functional Model ===
        inputs = {
            name: keras.Input((None,), dtype="int32", name=name)
            for name in ("token_ids", "segment_ids", "padding_mask")
        }
        x = self._encode(inputs)  # (B, T, D)
        super().__init__(
            inputs=inputs,
            outputs={
                "sequence_output": x,
                "pooled_output": first_or_zeros(x),
            },
            dtype=dtype,
            **kwargs,
        )

    @property
    def _embedding_width(self) -> int:
        return self.embedding_dim or self.hidden_dim

    def _check_config(self, kwargs: dict[str, Any]) -> None:
        if self.embedding_dim is not None:
            check_positive_integers(embedding_dim=self.embedding_dim)
        check_positive_integers(
            vocabulary_size=self.vocabulary_size,
            num_layers=self.num_layers,
            max_sequence_length=self.max_sequence_length,
            num_segments=self.num_segments,
        )
        check_rates(
            dropout=self.dropout, attention_dropout=self.attention_dropout
        )
        check_no_others(kwargs, "name", "trainable", "shared_embeddings")
        if not 0 < self.layer_norm_epsilon < 1:
            raise ValueError(
                "Invalid value for argument `layer_norm_epsilon`. Expected a "
                "number between 0 and 1. Received: "
                f"layer_norm_epsilon={self.layer_norm_epsilon}"
            )
        if self.packed and self.conv and not self.mask_conv:
            raise ValueError(
                "Expected `mask_conv=True` for packed sequences, since the "
                "convolution would leak from one sequence into another. "
                f"Received: packed={self.packed}, mask_conv={self.mask_conv}"
            )

    def _make_embeddings(
        self, shared: "ConvBertBackbone | None", dtype: DType
    ) -> None:
        width = self._embedding_width
        if shared is None:
            self.token_embedding = keras.layers.ReversibleEmbedding(
                self.vocabulary_size,
                width,
                embeddings_initializer=_initializer(),
                dtype=policy_at(dtype, "token_embedding"),
                name="token_embedding",
            )
            self.segment_embedding = keras.layers.Embedding(
                self.num_segments,
                width,
                embeddings_initializer=_initializer(),
                dtype=policy_at(dtype, "segment_embedding"),
                name="segment_embedding",
            )
            self.position_embedding = keras_hub.layers.PositionEmbedding(
                self.max_sequence_length,
                initializer=_initializer(),
                dtype=dtype,
                name="position_embedding",
            )
            self.embeddings_layer_norm = keras.layers.LayerNormalization(
                epsilon=self.layer_norm_epsilon,
                dtype=dtype,
                name="embeddings_layer_norm",
            )
        else:
            self.token_embedding = shared.token_embedding
            self.segment_embedding = shared.segment_embedding
            self.position_embedding = shared.position_embedding
            self.embeddings_layer_norm = shared.embeddings_layer_norm
        self.packed_sequences = None
        if self.packed:
            self.packed_sequences = PackedSequences(
                dtype=dtype, name="packed_sequences"
            )
        self.embeddings_add = SumEmbeddings(dtype=dtype, name="embeddings_add")
        self.embeddings_dropout = SeededDropout(
            self.dropout, dtype=dtype, name="embeddings_dropout"
        )
        self.embeddings_projection = None
        if width != self.hidden_dim:
            self.embeddings_projection = keras.layers.Dense(
                self.hidden_dim,
                dtype=policy_at(dtype, "embeddings_projection"),
                name="embeddings_projection",
            )

    def _make_block(self, name: str, dtype: DType) -> ConvBertEncoderBlock:
        return ConvBertEncoderBlock(
            hidden_dim=self.hidden_dim,
            intermediate_dim=self.intermediate_dim,
            num_heads=self.num_heads,
            head_ratio=self.head_ratio,
            kernel_size=self.kernel_size,
            head_dim=self.head_dim,
            num_groups=self.num_groups,
            conv=self.conv,
            mask_conv=self.mask_conv,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation=self.activation,
            layer_norm_epsilon=self.layer_norm_epsilon,
            gradient_checkpointing=self.gradient_checkpointing,
            dtype=dtype,
            name=name,
        )

    @property
    def encoder_layers(self) -> list[keras.layers.Layer]:
        """The layers after the embedding norm, in order."""
        projection = self.embeddings_projection
        return [
            self.embeddings_dropout,
            *([] if projection is None else [projection]),
            *self.transformer_layers,
        ]

    def _encode(self, inputs: dict[str, Tensor]) -> Tensor:
        """Embeds tokens and applies the encoder blocks; returns `(B, T, D)`."""
        masks = {"padding_mask": inputs["padding_mask"]}
        given = {}
        if self.packed_sequences is not None:
            packing = self.packed_sequences(inputs["padding_mask"])
            masks["attention_mask"] = packing["attention_mask"]
            given["positions"] = packing["positions"]
        return encode(self._embed(inputs, **given), self.encoder_layers, masks)

    def _embed(self, inputs: dict[str, Tensor], **positions: Tensor) -> Tensor:
        tokens = self.token_embedding(inputs["token_ids"])  # (B, T, E)
        segments = self.segment_embedding(inputs["segment_ids"])
        places = self.position_embedding(tokens, **positions)
        x = self.embeddings_add([tokens, segments, places])
        return self.embeddings_layer_norm(x)

    @property
    def padding_margin(self) -> int:
        """Number of padded positions after a text that change its vectors.

        If the convolutions see padding, each layer adds half a kernel.
        """
        if not self.conv or self.mask_conv:
            return 0
        return self.num_layers * (self.kernel_size // 2)

    # Keras passes `training` only to a `call` that names it.
    def call(
        self,
        inputs: Any,
        training: bool | None = None,
        mask: Any = None,
        part: str | None = None,
        vectors: Tensor | None = None,
    ) -> Any:
        if isinstance(inputs, dict) and "token_ids" in inputs:
            length = inputs["token_ids"].shape[1]
            if length is not None and length > self.max_sequence_length:
                raise ValueError(
                    "Expected sequences of at most `max_sequence_length="
                    f"{self.max_sequence_length}` tokens. Received: "
                    f"token_ids.shape={tuple(inputs['token_ids'].shape)}"
                )
        if part is None:
            return super().call(inputs, training=training, mask=mask)
        # Shared weights stay shared in a clone of a graph only if one layer of
        # the graph owns them: Keras clones and saves each layer on its own.
        if part == "embeddings":
            return self._embed(inputs, **self._positions(inputs))
        if part == "token_table":
            return ops.convert_to_tensor(self.token_embedding.embeddings)
        _check_part(part)
        return self.token_embedding(vectors, reverse=True)

    def _positions(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.packed_sequences is None:
            return {}
        packing = self.packed_sequences(inputs["padding_mask"])
        return {"positions": packing["positions"]}

    def compute_output_spec(
        self,
        inputs: Any,
        training: bool | None = None,
        mask: Any = None,
        part: str | None = None,
        vectors: Tensor | None = None,
    ) -> Any:
        if part is None:
            return super().compute_output_spec(
                inputs, training=training, mask=mask
            )
        _check_part(part)
        shapes = {
            "embeddings": (*inputs["token_ids"].shape, self._embedding_width),
            "token_table": (self.vocabulary_size, self._embedding_width),
            "token_logits": (
                *(() if vectors is None else vectors.shape[:-1]),
                self.vocabulary_size,
            ),
        }
        return keras.KerasTensor(
            shapes[part], self.token_embedding.compute_dtype
        )

    @classmethod
    def layer_costs(
        cls,
        config: Config,
        length: int,
        size: ElementBytes,
        dense_lookup: bool = False,
        prefix: str = "",
    ) -> list[LayerCost]:
        costs = embedding_costs(config, length, size, dense_lookup, prefix)
        for number in range(config["num_layers"]):
            name = f"{prefix}transformer_layer_{number}/"
            costs += block_costs(config, length, size, name)
        return costs

    def get_config(self) -> Config:
        # The method of KerasHub drops the dtypes of quantized layers.
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
    """Returns a new initializer, so that tables have different values."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


def _check_part(part: str) -> None:
    if part not in PARTS:
        raise ValueError(
            f"Expected `part` to be one of {PARTS}, or `None`. "
            f"Received: part={part!r}"
        )
