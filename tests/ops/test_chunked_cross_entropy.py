import keras
import numpy as np
import pytest
from keras import ops

from keras_convbert.ops import chunked_cross_entropy as module
from keras_convbert.ops.chunked_cross_entropy import (
    chunked_cross_entropy_and_sample,
)
from keras_convbert.ops.sampling import sample_categorical
from tests.gradients import outputs_and_gradients

ROWS, FEATURES, VOCABULARY = 7, 4, 11


def arrays():
    generator = np.random.default_rng(0)
    shapes = [(ROWS, FEATURES), (VOCABULARY, FEATURES), (VOCABULARY,)]
    weights = [np.float32(generator.normal(size=shape)) for shape in shapes]
    token_ids = np.int32(generator.integers(0, VOCABULARY, ROWS))
    return weights, token_ids, np.float32(generator.uniform(size=ROWS))


@pytest.fixture(params=[1, 3, 4, ROWS], ids="{} rows at a time".format)
def _chunks(request, monkeypatch):
    monkeypatch.setattr(module, "MAX_LOGITS", request.param * VOCABULARY)


@pytest.mark.usefixtures("_chunks")
def test_losses_and_gradients_are_those_of_all_logits_at_once():
    weights, token_ids, uniform = arrays()
    upstream = np.float32(np.linspace(-1.0, 2.0, ROWS))

    def plain(hidden, embeddings, bias):
        logits = ops.matmul(hidden, ops.transpose(embeddings)) + bias
        return ops.sparse_categorical_crossentropy(
            token_ids, logits, from_logits=True
        )

    def chunked(*weights):
        return chunked_cross_entropy_and_sample(*weights, token_ids, uniform)[0]

    wanted, slopes = outputs_and_gradients(plain, weights, upstream)
    found, found_slopes = outputs_and_gradients(chunked, weights, upstream)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    for slope, other in zip(found_slopes, slopes, strict=True):
        np.testing.assert_allclose(slope, other, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_likeliest_tokens_and_samples(temperature):
    weights, token_ids, uniform = arrays()
    hidden, embeddings, bias = weights
    logits = hidden @ embeddings.T + bias
    _, likeliest, sampled = chunked_cross_entropy_and_sample(
        *map(ops.convert_to_tensor, (*weights, token_ids, uniform)),
        temperature,
    )
    wanted = sample_categorical(
        ops.convert_to_tensor(logits / temperature),
        ops.convert_to_tensor(uniform),
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(sampled), wanted)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(likeliest), logits.argmax(axis=-1)
    )


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="only TensorFlow traces unknown shapes",
)
@pytest.mark.usefixtures("_chunks")
def test_an_unknown_number_of_rows():
    import tensorflow as tf

    weights, token_ids, uniform = arrays()
    wanted = chunked_cross_entropy_and_sample(*weights, token_ids, uniform)[0]

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, FEATURES)),
            tf.TensorSpec((None,), "int32"),
            tf.TensorSpec((None,)),
        ]
    )
    def graph(hidden, token_ids, uniform):
        return chunked_cross_entropy_and_sample(
            hidden, *weights[1:], token_ids, uniform
        )[0]

    for rows in (1, 5, ROWS):
        found = graph(weights[0][:rows], token_ids[:rows], uniform[:rows])
        np.testing.assert_allclose(found, wanted[:rows], rtol=1e-5)
