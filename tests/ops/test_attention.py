import keras
import numpy as np
import pytest
from keras import ops

from keras_convbert.ops.attention import fused_attention


def test_the_mask_for_cudnn_has_one_row_per_query(monkeypatch):
    """It refuses masks that broadcast over queries; Keras then computes all
    scores."""
    if keras.backend.backend() != "jax":
        pytest.skip("only JAX uses cuDNN here")
    import jax

    rng = np.random.default_rng(0)
    query, key, value = rng.normal(size=(3, 2, 5, 3, 4)).astype("float32")
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]], bool)[:, None, None]
    wanted = fused_attention(query, key, value, mask)
    masks = []
    attend = ops.dot_product_attention

    def spy(*tensors, mask):
        masks.append(mask)
        return attend(*tensors, mask=mask)

    monkeypatch.setattr(ops, "dot_product_attention", spy)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    found = fused_attention(query, key, value, mask)
    assert masks[0].shape == (2, 1, 5, 5)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
