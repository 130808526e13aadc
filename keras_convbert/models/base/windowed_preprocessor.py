from typing import Any

import keras_hub
import numpy as np

from keras_convbert.models.base.preprocessor import Preprocessor
from keras_convbert.text.columns import as_list
from keras_convbert.types import Config
from keras_convbert.types import Tensor


class WindowedPreprocessor(Preprocessor, keras_hub.models.Preprocessor):
    """Base of preprocessors that cut a text into several windows.

    A subclass implements `to_windows`, which cuts samples into windows,
    `collate`, which batches windows, and `_call_tf`, which does both in a
    TensorFlow graph.
    """

    def __init__(
        self,
        tokenizer: keras_hub.tokenizers.Tokenizer,
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
        """Pads a ragged tensor to `sequence_length`, in a TensorFlow graph."""
        return values.to_tensor(padding, shape=(None, self.sequence_length))

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "sequence_length": self.sequence_length,
            "stride": self.stride,
        }


def window_weights(sample_weight: Any, samples: list[int]) -> Any:
    """Returns, per window, the weight of its sample."""
    if sample_weight is None:
        return None
    return np.asarray(as_list(sample_weight), "float32")[samples]
