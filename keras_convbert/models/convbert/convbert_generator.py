"""The generator of the pretraining by replaced-token detection."""

import keras

from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone


def make_generator(
    backbone: ConvBertBackbone, scale: float
) -> ConvBertBackbone:
    """Makes the generator that shares the embeddings of `backbone`.

    With the scale `s`, `D_g = round(s D)`, `I_g = 4 D_g`, and
    `H_g = max(1, int(s H))` heads before the bottleneck, as wide as
    `D_g / H_g`. It has as many layers as the backbone.

    Args:
        backbone: the discriminator.
        scale: float. Width of the generator as a fraction of the width of
            the discriminator.

    Raises:
        ValueError: if the sizes do not divide.

    Reference:
        - [ELECTRA](https://arxiv.org/abs/2003.10555), section 3.2
    """
    config = backbone.get_config()
    hidden_dim = round(backbone.hidden_dim * scale)
    config.update(
        name="generator",
        dtype=backbone.dtype_policy,
        num_heads=max(1, int(backbone.num_heads * scale)),
        hidden_dim=hidden_dim,
        intermediate_dim=4 * hidden_dim,
        embedding_dim=backbone.token_embedding.output_dim,
        head_dim=None,
    )
    config["activation"] = keras.activations.get(config["activation"])
    try:
        # Its weights need paths of their own: on PyTorch Keras tells weights
        # apart by their paths when it resets gradients.
        with keras.name_scope("generator"):
            return ConvBertBackbone(shared_embeddings=backbone, **config)
    except ValueError as error:
        raise ValueError(
            f"The sizes of the generator do not fit each other: {error} "
            f"Received: generator_scale={scale}"
        ) from error
