"""Weights in fewer bytes."""

import numpy as np
import pytest
import tensorflow as tf

from keras_convbert.export import export_saved_model
from tests.export import tiny

TEXTS = ["a good film", "Bad films!", "Café 電影", "good " * 30]
# Wide enough that vectors, which int8 leaves alone, are a small part.
SIZES = {"hidden_dim": 64, "intermediate_dim": 128, "embedding_dim": 32}
pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("dtype", "atol"),
    [
        pytest.param("float16", 0.01, marks=pytest.mark.long),  # 11 bits
        pytest.param("bfloat16", 0.05, marks=pytest.mark.long),  # 8 bits
        ("int8", 0.05),  # 8 bits for each of a kernel's columns
    ],
)
def test_the_file_is_smaller_and_answers_are_near(dtype, atol, tmp_path):
    # Of the bytes in float32. Biases stay float32 beside int8.
    share = 0.36 if dtype == "int8" else 0.5
    model = tiny.classifier(sizes=SIZES)
    before = model.get_weights()
    path = export_saved_model(model, tmp_path, dtype=dtype, verbose=False)
    content = path / "variables" / "variables.data-00000-of-00001"
    names = 12_000
    assert content.stat().st_size < share * 4 * model.count_params() + names
    serve = tf.saved_model.load(path).signatures["text"]
    found = serve(text=tf.constant(TEXTS))
    wanted = model.predict(TEXTS, verbose=0)
    np.testing.assert_allclose(found["logits"], wanted, atol=atol)
    assert np.abs(found["logits"] - wanted).max() > 0
    assert found["logits"].dtype == tf.float32
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_float16_cannot_hold_is_refused(tmp_path):
    model = tiny.classifier()
    bias = model.output_dense.bias
    bias.assign(np.full(bias.shape, 1e5))
    with pytest.raises(ValueError, match=r"100000.0 in .*logits/bias"):
        export_saved_model(model, tmp_path, dtype="float16", verbose=False)
    assert [*tmp_path.iterdir()] == []
