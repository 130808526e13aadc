from keras_convbert.models.convbert import preprocessing_presets
from keras_convbert.models.convbert import preset_saving
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer


class ConvBertPreprocessor:
    """What the preprocessors have in common; first of the bases of each.

    Presets of KerasHub's and of Hugging Face's form. KerasHub has a base of
    its own for each kind of preprocessor, so that this is none of them.
    """

    backbone_cls = ConvBertBackbone
    tokenizer_cls = ConvBertTokenizer

    from_preset = classmethod(preprocessing_presets.load_preprocessor)
    save_to_preset = preset_saving.save_preprocessor
