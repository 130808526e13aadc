"""A family is only a folder: a toy family works without any other change."""

import json

import keras
import keras_hub
import numpy as np
import pytest
from keras import ops

import keras_convbert
from keras_convbert import analysis
from keras_convbert import export
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models.base.backbone import Backbone
from keras_convbert.models.base.layer_costs import dense_cost
from keras_convbert.models.base.preprocessor import Preprocessor
from keras_convbert.models.base.task import Task
from keras_convbert.models.base.word_piece_tokenizer import WordPieceTokenizer
from keras_convbert.models.presets.family import Family
from keras_convbert.models.presets.size_limits import ModelSize
from keras_convbert.models.presets.size_limits import SizeRules
from keras_convbert.recipes import convert_checkpoint
from keras_convbert.recipes import inspect_checkpoint
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import texts

ARCHITECTURES = {
    "toy_small": {
        "description": "one layer",
        "params": 64,
        "config": {"vocabulary_size": 8, "toy_width": 2},
    }
}


def measure(config, file):
    inner = config.get("config", config)
    inner = inner.get("backbone", {}).get("config", inner)
    size = inner.get("vocabulary_size", 0) * inner.get("toy_width", 0)
    return ModelSize(size, 1)


TOY = Family(
    name="toy",
    title="Toy",
    size_rules=SizeRules(frozenset({"vocabulary_size", "toy_width"}), measure),
    architectures=ARCHITECTURES,
)


@keras.saving.register_keras_serializable(package="tests")
class ToyBackbone(Backbone):
    """A one-hot encoding and one dense layer."""

    family = TOY

    def __init__(
        self,
        vocabulary_size,
        toy_width,
        max_sequence_length=16,
        dtype=None,
        **kwargs,
    ):
        self.dense = keras.layers.Dense(toy_width, dtype=dtype, name="dense")
        inputs = {
            name: keras.Input((None,), dtype="int32", name=name)
            for name in ("token_ids", "padding_mask")
        }
        mask = ops.expand_dims(ops.cast(inputs["padding_mask"], "float32"), -1)
        x = ops.one_hot(inputs["token_ids"], vocabulary_size) * mask
        outputs = {"pooled_output": ops.sum(self.dense(x), axis=1)}
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, **kwargs)
        self.vocabulary_size = vocabulary_size
        self.toy_width = toy_width
        self.max_sequence_length = max_sequence_length

    @classmethod
    def layer_costs(cls, config, length, size, dense_lookup=False, prefix=""):
        sizes = (config["vocabulary_size"], config["toy_width"])
        return [dense_cost(f"{prefix}dense", *sizes, False, length, size)]

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "toy_width": self.toy_width,
            "max_sequence_length": self.max_sequence_length,
        }


@keras.saving.register_keras_serializable(package="tests")
class ToyTokenizer(WordPieceTokenizer):
    backbone_cls = ToyBackbone


@keras.saving.register_keras_serializable(package="tests")
class ToyTextClassifierPreprocessor(
    Preprocessor, keras_hub.models.TextClassifierPreprocessor
):
    backbone_cls = ToyBackbone
    tokenizer_cls = ToyTokenizer

    def __init__(self, tokenizer, sequence_length=16, **kwargs):
        super().__init__(tokenizer, sequence_length=sequence_length, **kwargs)

    def call(self, x, y=None, sample_weight=None):
        x = super().call(x)
        del x["segment_ids"]
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)


@keras.saving.register_keras_serializable(package="tests")
class ToyTextClassifier(Task, keras_hub.models.TextClassifier):
    backbone_cls = ToyBackbone
    preprocessor_cls = ToyTextClassifierPreprocessor
    task_kind = "text_classifier"

    def __init__(self, backbone, num_classes, preprocessor=None, **kwargs):
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.logits = keras.layers.Dense(num_classes, name="logits")
        self.activation = keras.activations.linear
        x = backbone(backbone.input)["pooled_output"]
        super().__init__(
            inputs=backbone.input, outputs=self.logits(x), **kwargs
        )
        self.num_classes = num_classes

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


def make_classifier():
    preprocessor = ToyTextClassifierPreprocessor(
        ToyTokenizer(texts.VOCABULARY), sequence_length=8
    )
    backbone = ToyBackbone(len(texts.VOCABULARY), toy_width=4)
    return ToyTextClassifier(backbone, 3, preprocessor)


SAMPLES = ["a b c", "d", "e f g h"]


@pytest.fixture(scope="module")
def classifier():
    return make_classifier()


@pytest.fixture(scope="module")
def saved(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    classifier.save_to_preset(folder)
    return folder


def predict(task):
    return task.predict(SAMPLES, verbose=0)


def test_it_learns(tmp_path):
    task = make_classifier()
    history = task.fit(SAMPLES * 4, [0, 1, 2] * 4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_presets_come_back(classifier, saved):
    revived = ToyTextClassifier.from_preset(saved)
    np.testing.assert_array_equal(predict(revived), predict(classifier))
    backbone = ToyBackbone.from_preset(saved)
    np.testing.assert_array_equal(
        to_numpy(backbone.dense.kernel),
        to_numpy(classifier.backbone.dense.kernel),
    )
    assert ToyTokenizer.from_preset(saved)(["a b"]) == [[5, 6]]
    with pytest.warns(UserWarning, match=r"head of ToyTextClassifier .*new"):
        other = ToyTextClassifier.from_preset(saved, num_classes=5)
    assert other.output_shape == (None, 5)
    card = (saved / "README.md").read_text()
    assert "- toy\n" in card
    assert "Toy, " in card
    metadata = json.loads((saved / "metadata.json").read_text())
    assert metadata["tasks"] == ["TextClassifier"]


def test_architectures_are_presets():
    backbone = ToyBackbone.from_preset("toy_small", load_weights=False)
    assert backbone.toy_width == 2
    assert ToyBackbone.presets.keys() == {"toy_small"}
    with pytest.raises(ValueError, match="names an architecture"):
        ToyBackbone.from_preset("toy_small")


def test_keras_files_come_back(classifier, tmp_path):
    path = tmp_path / "toy.keras"
    classifier.save(path)
    np.testing.assert_array_equal(
        predict(keras_convbert.load_model(path)), predict(classifier)
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("toy_width", 2**30, "too large"), ("toy_width", -1, "invalid size")],
)
def test_sizes_are_checked(name, value, message, classifier, tmp_path):
    classifier.save_to_preset(tmp_path)
    for file, keys in (("config.json", ()), ("task.json", ("backbone",))):
        content = json.loads((tmp_path / file).read_text())
        part = content["config"]
        for key in keys:
            part = part[key]["config"]
        part[name] = value
        (tmp_path / file).write_text(json.dumps(content))
    for cls in (ToyBackbone, ToyTextClassifier):
        with pytest.raises(CheckpointError, match=message):
            cls.from_preset(tmp_path)


def test_it_is_profiled(classifier):
    found = analysis.profile(classifier, 8)
    assert [row.name for row in found.rows] == ["dense", "logits"]
    assert found.parameters == classifier.count_params()
    by_name = analysis.profile("toy_small", 8)
    by_config = analysis.profile(ARCHITECTURES["toy_small"]["config"], 8)
    assert by_name == by_config
    assert by_name.parameters == 8 * 2 + 2


def test_it_is_converted_and_inspected(classifier, saved, tmp_path):
    found = inspect_checkpoint(saved)
    assert found.class_name == "ToyTextClassifier"
    assert len(found.entries) == len(classifier.weights)
    convert_checkpoint(saved, tmp_path / "copy")
    revived = ToyTextClassifier.from_preset(tmp_path / "copy")
    np.testing.assert_array_equal(predict(revived), predict(classifier))


@pytest.mark.once
def test_it_is_exported(classifier, tmp_path):
    import tensorflow as tf

    path = export.export_saved_model(
        classifier, tmp_path, labels=["x", "y", "z"], verbose=False
    )
    served = tf.saved_model.load(str(path))
    outputs = served.signatures["text"](text=tf.constant(SAMPLES))
    np.testing.assert_allclose(
        outputs["logits"].numpy(), predict(classifier), atol=1e-6
    )
    best = predict(classifier).argmax(-1)
    assert outputs["label"].numpy().tolist() == [
        b"xyz"[i : i + 1] for i in best
    ]
