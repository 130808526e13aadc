from typing import Any

import keras_hub
import numpy as np

from keras_convbert.models.convbert.convbert_preprocessor import (
    ConvBertPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.types import Config
from keras_convbert.types import Tensor


class WindowedPreprocessor(ConvBertPreprocessor, keras_hub.models.Preprocessor):
    """Base of the preprocessors that cut a text into several rows.

    Subclasses have `to_windows`, which cuts samples, `collate`, which makes
    batches of rows, and `_call_tf`, which does both in TensorFlow's graph.
    """

    def __init__(
        self,
        tokenizer: ConvBertTokenizer,
        sequence_length: int,
        stride: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.stride: Any = stride

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        if self._use_tf_workflow():
            return self._call_tf(x, y=y, sample_weight=sample_weight)
        return self.collate(*self.to_windows(x, y, sample_weight))

    def _padded(self, values: Tensor, padding: int) -> Tensor:
        """A ragged tensor of a graph as one of the whole length."""
        return values.to_tensor(padding, shape=(None, self.sequence_length))

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            "stride": self.stride,
        }


def weights_of_rows(sample_weight: Any, samples: list[int]) -> Any:
    """The weight of the sample that each row is of."""
    if sample_weight is None:
        return None
    return np.asarray(sample_weight, "float32")[samples]
