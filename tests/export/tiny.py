"""Models and texts small enough to be exported within a test."""

import numpy as np

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertQuestionAnswererPreprocessor
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTextEmbedder
from keras_convbert.models import ConvBertTextEmbedderPreprocessor
from keras_convbert.models import ConvBertTokenClassifier
from keras_convbert.models import ConvBertTokenClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer

TOKENS = "[PAD] [UNK] [CLS] [SEP] [MASK] a the good bad film ##s cafe ! 電 影"
LABELS = ["negative", "mixed", "positive"]
TAGS = ["O", "B-LOC", "I-LOC"]


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


def classifier(strings=True, sequence_length=12, sizes=None, **kwargs):
    # Here padding leaks: only as much of it as has a say gives the answer.
    encoder = backbone(mask_conv=False, **(sizes or {}))
    preprocessor = None
    if strings:
        preprocessor = ConvBertTextClassifierPreprocessor(
            tokenizer(), sequence_length=sequence_length
        )
    model = ConvBertTextClassifier(
        encoder, num_classes=3, preprocessor=preprocessor, **kwargs
    )
    return with_larger_weights(model)


def tokenizer():
    return ConvBertTokenizer(TOKENS.split())


def tagger(**kwargs):
    preprocessor = ConvBertTokenClassifierPreprocessor(
        tokenizer(), TAGS, sequence_length=12
    )
    model = ConvBertTokenClassifier(
        backbone(**kwargs), TAGS, preprocessor=preprocessor
    )
    return with_larger_weights(model)


def answerer(head="linear"):
    preprocessor = ConvBertQuestionAnswererPreprocessor(
        tokenizer(), sequence_length=16, max_question_length=4, stride=4
    )
    model = ConvBertQuestionAnswerer(
        backbone(mask_conv=False), preprocessor=preprocessor, head=head
    )
    return with_larger_weights(model)


def embedder():
    preprocessor = ConvBertTextEmbedderPreprocessor(
        tokenizer(), sequence_length=12
    )
    model = ConvBertTextEmbedder(backbone(), preprocessor=preprocessor)
    return with_larger_weights(model)


MODELS = {
    "classifier": lambda: classifier(),
    "tagger": tagger,
    "answerer": answerer,
    "joint_answerer": lambda: answerer("joint"),
    "embedder": embedder,
    "backbone": backbone,
    "masked_lm": lambda: ConvBertMaskedLM(backbone()),
}


def with_larger_weights(model):
    """At the initialisers' size all texts would get about one answer."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(scale=0.1, size=weight.shape))
    return model


def quantized(model):
    model.quantize("int8")
    return model


def token_ids(model, shape=(3, 9)):
    rng = np.random.default_rng(1)
    inputs = {
        "token_ids": rng.integers(5, 15, size=shape),
        "segment_ids": rng.integers(0, 2, size=shape),
        "padding_mask": np.arange(shape[1])
        < np.linspace(1, shape[1], shape[0]).round()[::-1, None],
        "mask_positions": np.arange(2 * shape[0]).reshape(-1, 2) % shape[1],
    }
    return {name: np.int32(inputs[name]) for name in model.input}
