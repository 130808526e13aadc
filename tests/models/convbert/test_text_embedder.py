import keras
import keras_hub
import numpy as np
import pytest

from keras_convbert.models import ConvBertTextEmbedder
from keras_convbert.models import ConvBertTextEmbedderPreprocessor
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert import texts

X = ["a b c d", "e f", "", "g h i j k l"]


def embedder(backbone_options=None, **options):
    preprocessor = ConvBertTextEmbedderPreprocessor(
        texts.tokenizer(), sequence_length=12
    )
    task = ConvBertTextEmbedder(
        tasks.backbone(**(backbone_options or {})),
        **{"preprocessor": preprocessor, **options},
    )
    return tasks.tiny.eagerly_on_tensorflow(task)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_are_those_of_the_tokens(dtype, pooling, normalize):
    task = embedder({"dtype": dtype}, pooling=pooling, normalize=normalize)
    found = task.predict(X, verbose=0)
    assert found.dtype == "float32"
    assert found.shape == (4, 32)
    inputs = task.preprocessor(X)
    sequence = task.backbone(inputs, training=False)["sequence_output"]
    sequence = to_numpy(keras.ops.cast(sequence, "float32"))
    lengths = to_numpy(inputs["padding_mask"]).astype(int).sum(axis=1)
    assert lengths.tolist() == [6, 4, 2, 8]
    wanted = sequence[:, 0]
    if pooling == "mean":
        rows = zip(sequence, lengths, strict=True)
        wanted = np.stack([row[:n].mean(axis=0) for row, n in rows])
    if normalize:
        wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    atol = 1e-5 if dtype == "float32" else 0.05  # bfloat16 rounds the mean
    np.testing.assert_allclose(found, wanted, atol=atol)


def test_it_is_saved_and_trained(tmp_path):
    task = embedder()
    wanted = task.encode_text(X, verbose=0)
    task.save(tmp_path / "embedder.keras")
    task.save_to_preset(tmp_path / "embedder")
    for revived in (
        keras.saving.load_model(tmp_path / "embedder.keras"),
        ConvBertTextEmbedder.from_preset(tmp_path / "embedder"),
        keras_hub.models.TextEmbedder.from_preset(str(tmp_path / "embedder")),
    ):
        assert revived.pooling == "mean"
        assert revived.normalize
        found = revived.predict(X, verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    task.compile(keras.optimizers.Adam(0.01), "cosine_similarity")
    tasks.tiny.eagerly_on_tensorflow(task)
    labels = np.roll(wanted, 1, axis=0)
    history = task.fit(X, labels, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.once
def test_a_backbone_alone_will_do(tmp_path, recwarn):
    backbone = tasks.backbone()
    backbone.save_to_preset(tmp_path)
    texts.tokenizer().save_to_preset(tmp_path)
    task = ConvBertTextEmbedder.from_preset(tmp_path, pooling="first")
    assert task.pooling == "first"
    assert task.preprocessor.sequence_length == 32
    # There is no head that could be new.
    assert [str(w.message) for w in recwarn if w.category is UserWarning] == []
    with pytest.raises(ValueError, match="pooling='last'"):
        embedder(pooling="last")
