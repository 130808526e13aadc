from keras_convbert.models.base.task import Task
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.transformers.export import ExportsTask


class ConvBertTask(ExportsTask, Task):
    """Base of the ConvBERT tasks, the first base of each."""

    backbone_cls = ConvBertBackbone
