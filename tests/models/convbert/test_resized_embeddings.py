"""Added tokens in models: new rows for them, everything else unchanged."""

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertTextClassifier
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert import texts

SAMPLES = ["a b c", "d", "e f g h i j"]
LABELS = np.array([0, 1, 2])
SIZE = len(texts.VOCABULARY)


@pytest.mark.parametrize("make", [tasks.masked_lm, tasks.pretrainer])
def test_weights_per_token_grow_by_the_mean(make):
    task = make()
    wider = task.resize_token_embeddings(SIZE + 2)
    assert type(wider) is type(task)
    assert wider.backbone.vocabulary_size == SIZE + 2
    assert wider.preprocessor is task.preprocessor
    grown = set()
    for old, new in zip(task.weights, wider.weights, strict=True):
        old, new = to_numpy(old), to_numpy(new)
        if old.shape != new.shape:
            grown.add(old.ndim)
            mean = old.mean(0, keepdims=True)
            wanted = np.concatenate([old, mean, mean])
            np.testing.assert_allclose(new, wanted, atol=1e-6, rtol=1e-5)
        else:
            np.testing.assert_array_equal(new, old)
    # The embeddings and the output bias.
    assert grown == {1, 2}
    if make is tasks.pretrainer:
        # It samples tokens, from one more.
        return
    arrays = tasks.inputs(task, SAMPLES)
    old, new = tasks.outputs(task, arrays), tasks.outputs(wider, arrays)
    np.testing.assert_allclose(
        new[..., : old.shape[-1]], old, atol=1e-5, rtol=1e-5
    )
    narrow = wider.resize_token_embeddings(SIZE)
    np.testing.assert_allclose(
        tasks.outputs(narrow, arrays), old, atol=1e-5, rtol=1e-5
    )


def test_a_classifier_learns_with_added_tokens(tmp_path):
    task = tasks.classifier()
    task.backbone.position_embedding.trainable = False
    tokenizer = task.preprocessor.tokenizer
    assert tokenizer.add_tokens(["<loc>", "a"]) == 1
    samples = ["a <loc> b", "<LOC>", "d"]
    with pytest.raises(ValueError, match=f"vocabulary of {SIZE + 1} tokens"):
        task.predict(samples, verbose=0)
    with pytest.raises(ValueError, match="resize_token_embeddings"):
        task.save_to_preset(tmp_path / "preset")
    assert not (tmp_path / "preset").exists()
    task = task.resize_token_embeddings(tokenizer.vocabulary_size())
    assert not task.backbone.position_embedding.trainable
    tasks.tiny.eagerly_on_tensorflow(task)
    before = to_numpy(task.backbone.token_embedding.embeddings)[-1]
    task.fit(samples, LABELS, batch_size=3, verbose=0)
    after = to_numpy(task.backbone.token_embedding.embeddings)[-1]
    assert np.abs(after - before).max() > 1e-7
    wanted = task.predict(samples, verbose=0)
    task.save(tmp_path / "model.keras")
    task.save_to_preset(tmp_path / "preset")
    for loaded in (
        keras.models.load_model(tmp_path / "model.keras"),
        ConvBertTextClassifier.from_preset(tmp_path / "preset"),
    ):
        found = loaded.preprocessor.tokenizer
        assert found.get_config() == tokenizer.get_config()
        assert found(samples) == tokenizer(samples)
        np.testing.assert_allclose(
            loaded.predict(samples, verbose=0), wanted, atol=1e-6, rtol=1e-5
        )


def test_the_dtype_policy_stays():
    backbone = tasks.backbone(dtype="mixed_bfloat16")
    wider = backbone.resize_token_embeddings(SIZE + 1)
    assert wider.dtype_policy.name == "mixed_bfloat16"
    assert wider.token_embedding.embeddings.dtype == "float32"


@pytest.mark.once
def test_what_cannot_be_resized_is_refused():
    backbone = tasks.backbone()
    with pytest.raises(ValueError, match="Received: vocabulary_size=0"):
        backbone.resize_token_embeddings(0)
    task = tasks.classifier()
    with pytest.raises(ValueError, match=f"vocabulary of {SIZE} tokens"):
        task.resize_token_embeddings(SIZE - 1)
    backbone.enable_lora(2)
    with pytest.raises(ValueError, match="LoRA of rank 2"):
        backbone.resize_token_embeddings(SIZE + 1)
    quantized = tasks.backbone()
    quantized.quantize("int8")
    with pytest.raises(ValueError, match="is not quantized"):
        quantized.resize_token_embeddings(SIZE + 1)
