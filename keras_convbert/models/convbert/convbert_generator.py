"""The generator for pretraining by replaced-token detection."""

import keras

from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone


def make_generator(
    backbone: ConvBertBackbone, scale: float
) -> ConvBertBackbone:
    """Returns the generator, which shares the embeddings of `backbone`.

    With D hidden width, I feed-forward width, H heads before the bottleneck,
    R features per head, L layers, and the scale s:

        D_gen = round(s D)
        I_gen = 4 D_gen
        H_gen = max(1, int(s H))
        R_gen = D_gen / H_gen
        L_gen = L

    Args:
        backbone: a `ConvBertBackbone`, the discriminator.
        scale: float. Width of the generator as a fraction of the width of
            the discriminator.

    Raises:
        ValueError: if the sizes of the generator do not divide.

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
        # Weights need unique paths: on PyTorch, Keras identifies weights by
        # their paths when it resets gradients.
        with keras.name_scope("generator"):
            return ConvBertBackbone(shared_embeddings=backbone, **config)
    except ValueError as error:
        raise ValueError(
            f"The sizes of the generator do not match: {error} "
            f"Received: generator_scale={scale}"
        ) from error
