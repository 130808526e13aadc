from collections.abc import Iterable
from typing import Any
from typing import Self

import keras

from keras_convbert.layers.convbert_encoder_block import ConvBertEncoderBlock
from keras_convbert.types import Config
from keras_convbert.types import Tensor


def encode(
    x: Tensor, layers: Iterable[keras.layers.Layer], masks: dict[str, Tensor]
) -> Tensor:
    """Returns the outputs of the encoder layers of a backbone, `(B, T, D)`.

    Letters: B batch, T length, D hidden width, E embedding width.

    Args:
        x: tensor of shape `(B, T, E)`, the normalized embeddings.
        layers: iterable, the `encoder_layers` of a backbone.
        masks: dict, the keyword arguments of each encoder block.
    """
    for layer in layers:
        x = layer(x, **masks) if _is_block(layer) else layer(x)
    return x


def _is_block(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, ConvBertEncoderBlock)


@keras.saving.register_keras_serializable(package="keras_convbert")
class BackboneEncoder(keras.layers.Layer):
    """The layers of a backbone after its embeddings.

    In the graph of a pretrainer the generator owns the embeddings, and this
    layer is the rest of the discriminator. So that a clone has unshared layers
    once, the configuration holds that of the whole backbone.

    Args:
        backbone: a `ConvBertBackbone`, whose layers are used.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        embeddings: tensor of shape `(batch, length, embedding_dim)`.
        padding_mask: integer tensor of shape `(batch, length)`.

    Output shape:
        `(batch, length, hidden_dim)`, the `sequence_output`.
    """

    def __init__(self, backbone: Any, **kwargs: Any) -> None:
        super().__init__(**{"dtype": backbone.dtype_policy, **kwargs})
        self.packed_sequences = backbone.packed_sequences
        self.encoder_layers = backbone.encoder_layers
        self.hidden_dim = backbone.hidden_dim
        self._backbone_config = keras.saving.serialize_keras_object(backbone)
        self.built = True

    def call(self, embeddings: Tensor, padding_mask: Tensor) -> Tensor:
        masks = {"padding_mask": padding_mask}
        if self.packed_sequences is not None:
            packing = self.packed_sequences(padding_mask)
            masks["attention_mask"] = packing["attention_mask"]
        return encode(embeddings, self.encoder_layers, masks)

    def compute_output_spec(
        self, embeddings: Tensor, padding_mask: Tensor
    ) -> keras.KerasTensor:
        shape = (*embeddings.shape[:-1], self.hidden_dim)
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), "backbone": self._backbone_config}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        # On PyTorch, Keras identifies weights by their paths, which would
        # equal those of the generator.
        with keras.name_scope(config["name"]):
            backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})
