import json
import os

import h5py
import keras
import keras_hub
import numpy as np
import pytest

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertMaskedLMPreprocessor
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES
from tests.models.convbert import tasks
from tests.models.convbert import texts

X = texts.letters(12, longest=7)
KINDS = {
    "classifier": (
        lambda: tasks.classifier(head="dense"),
        keras_hub.models.TextClassifier,
    ),
    "masked_lm": (tasks.masked_lm, keras_hub.models.MaskedLM),
    "pretrainer": (tasks.pretrainer, ConvBertPretrainer),
}


@pytest.fixture(scope="module", params=KINDS)
def saved(request, tmp_path_factory):
    """A trained task, KerasHub's class for it, a preset, arrays, outputs."""
    make, base = KINDS[request.param]
    task = make()
    labels = np.arange(12) % 3 if request.param == "classifier" else None
    task.fit(X, labels, verbose=0)
    folder = str(tmp_path_factory.mktemp("preset"))
    task.save_to_preset(folder)
    arrays = tasks.inputs(task, X)
    return task, base, folder, arrays, tasks.outputs(task, arrays)


@pytest.fixture(scope="module")
def backbone_alone(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("backbone"))
    backbone = tasks.backbone()
    backbone.save_to_preset(folder)
    texts.tokenizer().save_to_preset(folder)
    return backbone, folder


def assert_same_weights(found, wanted):
    for one, other in zip(found.weights, wanted.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        )


@pytest.mark.parametrize("through", ["own", "base"])
def test_tasks_come_back_whole(saved, through, recwarn):
    task, base, folder, arrays, wanted = saved
    kind = type(task) if through == "own" else base
    revived = kind.from_preset(folder)
    assert type(revived) is type(task)
    np.testing.assert_array_equal(tasks.outputs(revived, arrays), wanted)
    assert revived.get_config() == task.get_config()
    tokenizer = revived.preprocessor.tokenizer
    assert tokenizer.get_vocabulary() == texts.VOCABULARY
    assert [str(w.message) for w in recwarn if w.category is UserWarning] == []


def test_preset_holds_no_training_state(saved):
    task, _, folder, _, _ = saved
    assert task.optimizer.built
    with h5py.File(os.path.join(folder, "task.weights.h5")) as file:
        assert "optimizer" not in file
        assert "layers" in file
    assert not os.path.exists(
        os.path.join(folder, "assets", "random_state.npz")
    )
    with open(os.path.join(folder, "metadata.json")) as file:
        kinds = json.load(file)["tasks"]
    assert {"MaskedLM", "TextClassifier"} <= set(kinds)


def test_parts_come_back_through_the_base_classes(saved):
    task, _, folder, _, _ = saved
    backbone = keras_hub.models.Backbone.from_preset(folder)
    assert type(backbone) is ConvBertBackbone
    assert_same_weights(backbone, task.backbone)
    tokenizer = keras_hub.models.Tokenizer.from_preset(folder)
    assert type(tokenizer) is ConvBertTokenizer
    assert tokenizer(["a b"]) == [[5, 6]]
    kinds = [
        (
            keras_hub.models.TextClassifierPreprocessor,
            ConvBertTextClassifierPreprocessor,
        ),
        (keras_hub.models.MaskedLMPreprocessor, ConvBertMaskedLMPreprocessor),
    ]
    for base, own in kinds:
        preprocessor = base.from_preset(folder, sequence_length=5)
        assert type(preprocessor) is own
        assert preprocessor.sequence_length == 5
        assert preprocessor.tokenizer.get_vocabulary() == texts.VOCABULARY


def test_other_dtypes_and_no_weights(saved):
    task, _, folder, arrays, wanted = saved
    half = type(task).from_preset(folder, dtype="bfloat16")
    assert {weight.dtype for weight in half.trainable_weights} == {"bfloat16"}
    np.testing.assert_allclose(
        tasks.outputs(half, arrays),
        wanted,
        atol=0.15,  # weights and activations have 8 bits of mantissa
    )
    empty = type(task).from_preset(folder, load_weights=False)
    assert abs(tasks.outputs(empty, arrays) - wanted).max() > 1e-2


@pytest.mark.parametrize(
    "name", ["classifier", pytest.param("masked_lm", marks=pytest.mark.long)]
)
def test_int8_presets(name, tmp_path, recwarn):
    make, base = KINDS[name]
    task = make()
    arrays = tasks.inputs(task, X)
    task.quantize("int8")
    wanted = tasks.outputs(task, arrays)
    task.save_to_preset(str(tmp_path))
    recwarn.clear()
    for kind in (type(task), base):
        revived = kind.from_preset(str(tmp_path))
        np.testing.assert_array_equal(tasks.outputs(revived, arrays), wanted)
    backbone = ConvBertBackbone.from_preset(str(tmp_path))
    assert_same_weights(backbone, task.backbone)
    assert backbone.token_embedding.quantization_mode == "int8"
    assert [str(w.message) for w in recwarn if w.category is UserWarning] == []


@pytest.mark.once
@pytest.mark.long
def test_int8_keeps_its_dtypes(tmp_path):
    task = tasks.classifier()
    task.quantize("int8")
    task.save_to_preset(tmp_path)
    for kind in (ConvBertTextClassifier, ConvBertBackbone):
        with pytest.raises(ValueError, match="no `dtype` for a quantized"):
            kind.from_preset(tmp_path, dtype="bfloat16")
    with pytest.raises(ValueError, match="not quantized"):
        ConvBertPretrainer(task.backbone, preprocessor=task.preprocessor)


@pytest.mark.once
def test_misspelt_arguments_are_not_lost(saved):
    task, _, folder, _, _ = saved
    with pytest.raises(ValueError, match=r"Unexpected.*\['dropuot'\]"):
        type(task).from_preset(folder, dropuot=0.5)
    with pytest.raises(ValueError, match=r"Unexpected.*\['dropuot'\]"):
        ConvBertBackbone.from_preset(folder, dropuot=0.5)


@pytest.mark.long
def test_new_head_on_an_int8_preset_is_float(tmp_path):
    task = tasks.classifier()
    task.quantize("int8")
    task.save_to_preset(str(tmp_path))
    with pytest.warns(UserWarning, match="head of ConvBertTextClassifier"):
        revived = ConvBertTextClassifier.from_preset(
            str(tmp_path), num_classes=3
        )
    assert revived.output_dense.kernel.dtype == "float32"
    assert_same_weights(revived.backbone, task.backbone)
    outputs = tasks.outputs(revived, tasks.inputs(revived, X))
    assert outputs.std(0).min() > 0


def test_new_heads_are_named(backbone_alone):
    backbone, folder = backbone_alone
    with pytest.warns(UserWarning, match=r"\(logits/kernel, logits/bias\)"):
        classifier = ConvBertTextClassifier.from_preset(folder, num_classes=5)
    assert classifier.output_shape == (None, 5)
    with pytest.warns(UserWarning, match=r"mlm_head/dense/kernel.* is new"):
        masked_lm = ConvBertMaskedLM.from_preset(folder)
    for task in (classifier, masked_lm):
        assert_same_weights(task.backbone, backbone)
        assert task.preprocessor.tokenizer.get_vocabulary() == texts.VOCABULARY


def test_number_of_classes_makes_a_new_head(tmp_path):
    task = tasks.classifier()
    task.save_to_preset(str(tmp_path))
    with pytest.warns(UserWarning, match="`num_classes`, .* were given"):
        revived = ConvBertTextClassifier.from_preset(
            str(tmp_path), num_classes=5, preprocessor=None
        )
    assert revived.output_shape == (None, 5)
    assert revived.preprocessor is None
    assert_same_weights(revived.backbone, task.backbone)


def test_missing_number_of_classes_is_asked_for(backbone_alone):
    _, folder = backbone_alone
    with pytest.raises(ValueError, match=r"Expected `num_classes`.*preset="):
        ConvBertTextClassifier.from_preset(folder)


def test_names_of_sizes(monkeypatch):
    config = tasks.backbone().get_config()
    for name in ("name", "trainable", "dtype"):
        config.pop(name)
    monkeypatch.setitem(ARCHITECTURES, "tiny", {"config": config})
    task = ConvBertTextClassifier.from_preset(
        "tiny", load_weights=False, num_classes=2, dtype="bfloat16"
    )
    assert task.backbone.num_layers == config["num_layers"]
    assert task.output_dense.kernel.dtype == "bfloat16"
    assert task.preprocessor is None
    masked_lm = ConvBertMaskedLM.from_preset(
        "tiny", load_weights=False, preprocessor=task.preprocessor
    )
    assert masked_lm.output_shape == (None, None, len(texts.VOCABULARY))
    with pytest.raises(ValueError, match="names an architecture"):
        ConvBertMaskedLM.from_preset("convbert_small")


@pytest.mark.once
def test_what_is_no_preset_is_refused(tmp_path):
    names = r"'hf://user/model'.*'convbert_small'.*no_such_preset"
    for kind, file in (
        (ConvBertMaskedLM, "config.json"),
        (ConvBertBackbone, "config.json"),
        (ConvBertTokenizer, "tokenizer.json"),
        (ConvBertMaskedLMPreprocessor, "tokenizer.json"),
    ):
        with pytest.raises(FileNotFoundError, match=file):
            kind.from_preset(tmp_path)
        with pytest.raises(ValueError, match=names):
            kind.from_preset("no_such_preset")
    with pytest.raises(ValueError, match="names an architecture"):
        ConvBertTokenizer.from_preset("convbert_small")


@pytest.mark.once
def test_the_length_of_sequences_suits_the_backbone(tmp_path):
    tasks.backbone().save_to_preset(str(tmp_path))
    with (
        pytest.warns(UserWarning, match="no vocabulary"),
        pytest.warns(UserWarning, match="is new and has random"),
    ):
        bare = ConvBertTextClassifier.from_preset(tmp_path, num_classes=2)
    assert bare.preprocessor is None
    texts.tokenizer().save_to_preset(str(tmp_path))
    for given, length in (({}, 32), ({"sequence_length": 6}, 6)):
        with pytest.warns(UserWarning, match="is new and has random"):
            task = ConvBertTextClassifier.from_preset(
                tmp_path, num_classes=2, **given
            )
        assert task.preprocessor.sequence_length == length


@pytest.mark.once
def test_the_sizes_of_the_paper_are_listed():
    assert ConvBertBackbone.presets.keys() == ARCHITECTURES.keys()
