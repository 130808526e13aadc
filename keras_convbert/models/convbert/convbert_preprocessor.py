from keras_convbert.models.base.preprocessor import Preprocessor
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer


class ConvBertPreprocessor(Preprocessor):
    """Base of the ConvBERT preprocessors, the first base of each."""

    backbone_cls = ConvBertBackbone
    tokenizer_cls = ConvBertTokenizer
