"""Preprocessing of batches without texts."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_convbert.text.columns import columns_of


def is_empty(x: Any) -> bool:
    """Returns whether samples in memory have columns without entries."""
    columns = columns_of(x)
    return bool(columns) and not any(map(len, columns))


def preprocess_texts(
    call: Callable[..., Any], x: Any, y: Any = None, sample_weight: Any = None
) -> Any:
    """Returns `call(x, y, sample_weight)`, also of no texts.

    KerasHub packs an empty list as one empty text, without a batch axis.

    Args:
        call: the `call` of a KerasHub preprocessor.
        x: batch of texts or a pair of these, as `check_texts` returns it.
        y: labels. Defaults to `None`.
        sample_weight: weights. Defaults to `None`.
    """
    parts = x if isinstance(x, tuple) else (x,)
    if any(not isinstance(part, (list, np.ndarray)) for part in parts) or any(
        map(len, parts)
    ):
        return call(x, y, sample_weight)
    one = tuple([""] for _ in parts)
    outputs = keras.tree.map_structure(
        lambda output: output[:0], call(one if len(one) > 1 else one[0])
    )
    if y is None and sample_weight is None:
        return outputs
    return keras.utils.pack_x_y_sample_weight(outputs, y, sample_weight)
