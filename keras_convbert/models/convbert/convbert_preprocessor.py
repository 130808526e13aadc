from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.models.presets import preprocessor_loading
from keras_convbert.models.presets import saving


class ConvBertPreprocessor:
    """What the preprocessors have in common; first of the bases of each.

    Presets of KerasHub's and of Hugging Face's form. KerasHub has a base of
    its own for each kind of preprocessor, so that this is none of them.
    """

    backbone_cls = ConvBertBackbone
    tokenizer_cls = ConvBertTokenizer

    from_preset = classmethod(preprocessor_loading.load_preprocessor)
    save_to_preset = saving.save_preprocessor
