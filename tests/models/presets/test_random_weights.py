"""Loading draws random values only for weights that no file has."""

import threading

import keras
import numpy as np
import pytest
from keras.src.initializers import random_initializers

from keras_convbert.compat import without_random_values
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenizer
from tests.models.test_graphs import SIZES

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg"]


def classifier(head="dense"):
    preprocessor = ConvBertTextClassifier.preprocessor_cls(
        ConvBertTokenizer(WORDS), sequence_length=8
    )
    return ConvBertTextClassifier(
        ConvBertBackbone(**SIZES, mask_conv=False),
        num_classes=2,
        head=head,
        preprocessor=preprocessor,
    )


@pytest.fixture
def drawn(monkeypatch):
    """The shapes of the random weights that were made."""
    shapes = []

    def recorded(draw):
        def recording(shape, *args, **kwargs):
            shapes.append(tuple(shape))
            return draw(shape, *args, **kwargs)

        return recording

    random = random_initializers.random
    for name in ("normal", "truncated_normal", "uniform"):
        monkeypatch.setattr(random, name, recorded(getattr(random, name)))
    return shapes


def save(task, form, folder):
    if form == "keras":
        task.save_to_preset(folder)
    else:
        task.export_to_transformers(folder)


@pytest.mark.parametrize("form", ["keras", "transformers"])
def test_only_a_new_head_is_random(form, tmp_path, drawn):
    task = classifier()
    save(task, form, tmp_path / "preset")
    assert drawn
    drawn.clear()
    loaded = ConvBertTextClassifier.from_preset(tmp_path / "preset")
    backbone = ConvBertBackbone.from_preset(tmp_path / "preset")
    assert not drawn
    for old, new in zip(task.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(*map(to_numpy, (old, new)))
    for old, new in zip(task.backbone.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(*map(to_numpy, (old, new)))
    with pytest.warns(UserWarning, match="is new"):
        new = ConvBertTextClassifier.from_preset(
            tmp_path / "preset", num_classes=3
        )
    assert drawn
    assert np.abs(to_numpy(new.output_dense.kernel)).min() > 0
    drawn.clear()
    new = ConvBertBackbone.from_preset(tmp_path / "preset", load_weights=False)
    assert len(drawn) > 5
    assert np.abs(to_numpy(new.token_embedding.embeddings)).min() > 0


def test_layers_keep_their_initializers(tmp_path):
    """A clone of a loaded model is random."""
    classifier().save_to_preset(tmp_path / "preset")
    loaded = ConvBertTextClassifier.from_preset(tmp_path / "preset")
    clone = keras.models.clone_model(loaded)
    found = [to_numpy(task.output_dense.kernel) for task in (loaded, clone)]
    assert (found[0] != found[1]).all()
    assert found[1].std() > 0


@pytest.mark.parametrize(
    "name", ["random_normal", "glorot_uniform", "orthogonal", "he_normal"]
)
def test_all_random_initializers_are_skipped_in_one_thread(name):
    found = {}

    def draw():
        initializer = keras.initializers.get(name)
        found["other"] = to_numpy(initializer((3, 4), dtype="float32"))

    with without_random_values():
        values = keras.initializers.get(name)((3, 4), dtype="float16")
        thread = threading.Thread(target=draw)
        thread.start()
        thread.join()
    assert keras.backend.standardize_dtype(values.dtype) == "float16"
    assert values.shape == (3, 4)
    assert not to_numpy(values).any()
    assert np.abs(found["other"]).min() > 0
    draw()
    assert np.abs(found["other"]).min() > 0


def to_numpy(value):
    return keras.ops.convert_to_numpy(value)
