"""The `Family` record of ConvBERT."""

from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from keras_convbert.models.convbert.convbert_sizes import SIZE_RULES
from keras_convbert.models.convbert.tf1.format import Tf1Format
from keras_convbert.models.convbert.transformers.format import (
    TransformersFormat,
)
from keras_convbert.models.presets.family import Family

CONVBERT = Family(
    name="convbert",
    title="ConvBERT",
    size_rules=SIZE_RULES,
    architectures=ARCHITECTURES,
    foreign=TransformersFormat(),
    checkpoints=(Tf1Format(),),
)
