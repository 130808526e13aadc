"""Models and texts small enough to be exported within a test."""

import warnings

import numpy as np

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer

TOKENS = "[PAD] [UNK] [CLS] [SEP] [MASK] a the good bad film ##s cafe ! 電 影"
LABELS = ["negative", "mixed", "positive"]


def backbone(**kwargs):
    sizes = {
        "vocabulary_size": len(TOKENS.split()),
        "num_layers": 1,
        "num_heads": 4,
        "hidden_dim": 16,
        "intermediate_dim": 32,
        "embedding_dim": 8,
        "max_sequence_length": 16,
    }
    return ConvBertBackbone(**{**sizes, **kwargs})


def classifier(strings=True, sequence_length=12, **kwargs):
    # Here padding leaks: only its exact length gives the right answer.
    encoder = backbone(mask_conv=False)
    preprocessor = None
    if strings:
        preprocessor = ConvBertTextClassifierPreprocessor(
            ConvBertTokenizer(TOKENS.split()), sequence_length=sequence_length
        )
    model = ConvBertTextClassifier(
        encoder, num_classes=3, preprocessor=preprocessor, **kwargs
    )
    return with_larger_weights(model)


def with_larger_weights(model):
    """At the initialisers' size all texts would get about one answer."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(scale=0.1, size=weight.shape))
    return model


def quantized(model):
    with warnings.catch_warnings():
        # Of each layer that has nothing to quantize.
        warnings.simplefilter("ignore")
        model.quantize("int8")
    return model
