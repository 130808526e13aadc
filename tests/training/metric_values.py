"""What tests of metrics share: a value over batches that are uneven."""

import warnings

import keras
import numpy as np


def value_after(metric, y_true, y_pred, sample_weight=None):
    """A batch of 7 samples, and one of all the others."""
    assert len(y_true) > 16
    parts = [
        [None] * 2 if array is None else np.split(array, [7])
        for array in (y_true, y_pred, sample_weight)
    ]
    for batch in zip(*parts, strict=True):
        metric.update_state(*batch)
    return float(metric.result())


def quietly(function, *args, **kwargs):
    """A reference without its warnings that a value is undefined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def again_from_config(metric):
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    return again
