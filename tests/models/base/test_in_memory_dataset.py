import contextlib

import keras
import numpy as np
import pytest

from keras_convbert.models.base.in_memory_dataset import InMemoryAdapter
from keras_convbert.models.base.in_memory_dataset import InMemoryDataset


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="`tf.data` alone tunes"
)
def test_nobody_waits_for_the_tuner_at_the_end_of_an_epoch():
    batches = InMemoryDataset(
        (np.arange(5), None, None),
        2,
        lambda x, y, weight: x,
        shuffle=False,
        noise=lambda epoch, index: contextlib.nullcontext(),
    )
    dataset = InMemoryAdapter(batches).get_tf_dataset()
    assert dataset.options().autotune.enabled is False
    found = [x.numpy().tolist() for (x,) in dataset]
    assert found == [[0, 1], [2, 3], [4]]
