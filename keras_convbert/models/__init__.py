"""Whole models: backbones, tokenizers, tasks."""

from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_masked_lm import ConvBertMaskedLM
from keras_convbert.models.convbert.convbert_masked_lm_preprocessor import (
    ConvBertMaskedLMPreprocessor,
)
from keras_convbert.models.convbert.convbert_multiple_choice import (
    ConvBertMultipleChoice,
)
from keras_convbert.models.convbert.convbert_multiple_choice_preprocessor import (  # noqa: E501
    ConvBertMultipleChoicePreprocessor,
)
from keras_convbert.models.convbert.convbert_pretrainer import (
    ConvBertPretrainer,
)
from keras_convbert.models.convbert.convbert_pretrainer_preprocessor import (
    ConvBertPretrainerPreprocessor,
)
from keras_convbert.models.convbert.convbert_question_answerer import (
    ConvBertQuestionAnswerer,
)
from keras_convbert.models.convbert.convbert_question_answerer_preprocessor import (  # noqa: E501
    ConvBertQuestionAnswererPreprocessor,
)
from keras_convbert.models.convbert.convbert_text_classifier import (
    ConvBertTextClassifier,
)
from keras_convbert.models.convbert.convbert_text_classifier_preprocessor import (  # noqa: E501
    ConvBertTextClassifierPreprocessor,
)
from keras_convbert.models.convbert.convbert_text_embedder import (
    ConvBertTextEmbedder,
)
from keras_convbert.models.convbert.convbert_text_embedder_preprocessor import (
    ConvBertTextEmbedderPreprocessor,
)
from keras_convbert.models.convbert.convbert_token_classifier import (
    ConvBertTokenClassifier,
)
from keras_convbert.models.convbert.convbert_token_classifier_preprocessor import (  # noqa: E501
    ConvBertTokenClassifierPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.text.entity_spans import entity_spans

__all__ = [
    "ConvBertBackbone",
    "ConvBertMaskedLM",
    "ConvBertMaskedLMPreprocessor",
    "ConvBertMultipleChoice",
    "ConvBertMultipleChoicePreprocessor",
    "ConvBertPretrainer",
    "ConvBertPretrainerPreprocessor",
    "ConvBertQuestionAnswerer",
    "ConvBertQuestionAnswererPreprocessor",
    "ConvBertTextClassifier",
    "ConvBertTextClassifierPreprocessor",
    "ConvBertTextEmbedder",
    "ConvBertTextEmbedderPreprocessor",
    "ConvBertTokenClassifier",
    "ConvBertTokenClassifierPreprocessor",
    "ConvBertTokenizer",
    "entity_spans",
]
