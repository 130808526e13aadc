"""Copies that tuners and cross-validation make of a task or of its parts."""

import copy
import json
import pickle
import zipfile

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.models.presets.family import task_classes
from tests.models.test_graphs import SIZES
from tests.models.test_graphs import assert_equal

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "A", "film", "café"]
TEXTS = ["A film <br>", "a Café"]
# What each kind of task reads, and the arguments that it requires.
SAMPLES = {
    "question_answerer": (TEXTS, TEXTS),
    "multiple_choice": (TEXTS, [TEXTS, TEXTS]),
    "token_classifier": [text.split() for text in TEXTS],
}
ARGUMENTS = {
    "text_classifier": {"labels": ["no", "yes"], "head": "dense"},
    "token_classifier": {"labels": ["O", "B-X", "I-X"]},
    "pretrainer": {"seed": 1, "generator_scale": 0.5},
}
# Arguments of its preprocessor.
OPTIONS = {
    "masked_lm": {"mask_selection_length": 2, "seed": 1},
    "question_answerer": {"max_question_length": 2, "stride": 1},
    "text_classifier": {"truncate": "waterfall"},
    "token_classifier": {"labels": ARGUMENTS["token_classifier"]["labels"]},
}


def tokenizer():
    return ConvBertTokenizer(
        WORDS,
        lowercase=False,
        special_tokens_in_strings=True,
        added_tokens=["<br>", {"content": "film", "normalized": False}],
    )


def make_task(cls):
    kind = cls.task_kind
    preprocessor = cls.preprocessor_cls(
        tokenizer(), **{"sequence_length": 8, **OPTIONS.get(kind, {})}
    )
    backbone = ConvBertBackbone(**SIZES, dropout=0.0)
    return cls(backbone, preprocessor=preprocessor, **ARGUMENTS.get(kind, {}))


def samples(task):
    return SAMPLES.get(task.task_kind, TEXTS)


def preprocess(task):
    found = task.preprocess_samples(samples(task))
    found = found[0] if isinstance(found, tuple) else found
    return {k: keras.ops.convert_to_numpy(v) for k, v in found.items()}


def inputs(task, length):
    return {
        name: keras.Input((length,), name=name, dtype="int32")
        for name in task.input
    }


def outputs(task, arrays):
    found = task(arrays, training=False)
    found = found if isinstance(found, dict) else {"output": found}
    return {k: keras.ops.convert_to_numpy(v) for k, v in found.items()}


def from_json(model):
    config = json.loads(json.dumps(model.get_config()))
    before = copy.deepcopy(config)
    first, second = (type(model).from_config(config) for _ in range(2))
    assert config == before
    own = {id(weight) for weight in first.weights}
    assert not own & {id(weight) for weight in second.weights}
    return second


def from_serialized(model):
    return keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(model)
    )


WAYS = {
    "clone_model": keras.models.clone_model,
    "from_config": from_json,
    "serialized": from_serialized,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize(
    "cls", [*task_classes(ConvBertBackbone)], ids=lambda cls: cls.task_kind
)
def test_each_copy_of_a_task_reads_the_same_samples(cls):
    task = make_task(cls)
    task.backbone.layers[-1].trainable = False
    arrays = preprocess(task)
    wanted = outputs(task, arrays)
    for name, make in WAYS.items():
        clone = make(task)
        assert type(clone) is cls, name
        assert clone.get_config() == task.get_config(), name
        own = {id(weight) for weight in task.weights}
        assert not own & {id(weight) for weight in clone.weights}, name
        assert_equal(preprocess(clone), arrays)
        clone.set_weights(task.get_weights())
        assert_equal(outputs(clone, arrays), wanted)


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet")
@pytest.mark.parametrize(
    "cls", [*task_classes(ConvBertBackbone)], ids=lambda cls: cls.task_kind
)
def test_files_have_the_vocabulary_once(cls, tmp_path):
    """Whoever saves: the task, a model around it, or a preset."""
    task = make_task(cls)
    task.save(tmp_path / "task.keras")
    outer = keras.Sequential([task])
    outer.save(tmp_path / "outer.keras")
    task.save_to_preset(tmp_path / "preset")
    contents = [*(tmp_path / "preset").glob("*.json")]
    contents = [path.read_text("utf-8") for path in contents]
    for name in ("task.keras", "outer.keras"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            contents.append(archive.read("config.json").decode())
    assert len(contents) >= 6
    assert not [text for text in contents if "caf" in text]
    for copied in (
        keras.saving.load_model(tmp_path / "task.keras"),
        keras.saving.load_model(tmp_path / "outer.keras").layers[-1],
        cls.from_preset(tmp_path / "preset"),
    ):
        assert copied.get_config() == task.get_config()


def test_each_part_is_copied():
    task = make_task(ConvBertTextClassifier)
    for part in (
        task.backbone,
        task.preprocessor,
        task.preprocessor.tokenizer,
    ):
        copies = [
            type(part).from_config(json.loads(json.dumps(part.get_config()))),
            from_serialized(part),
            copy.deepcopy(part),
            pickle.loads(pickle.dumps(part)),
        ]
        if part is task.backbone:
            copies.append(keras.models.clone_model(part))
        for copied in copies:
            assert type(copied) is type(part)
            assert copied.get_config() == part.get_config()


def test_cross_validation_and_tuning():
    """Each fold starts from new weights, with the same optimizer and flags."""
    task = make_task(ConvBertTextClassifier)
    task.compile(keras.optimizers.SGD(0.25), run_eagerly=True)
    task.backbone.trainable = False
    task.output_dense.trainable = False
    folds = [keras.models.clone_model(task) for _ in range(2)]
    for fold in folds:
        assert fold.optimizer.learning_rate == 0.25
        trainable = [weight.trainable for weight in task.weights]
        assert [weight.trainable for weight in fold.weights] == trainable
        fold.fit(TEXTS, ["no", "yes"], verbose=0)
        assert fold.predict(TEXTS, verbose=0).shape == (2, 2)
        assert len(fold.predict_labels(TEXTS)) == 2
    kernels = [fold.output_dense.get_weights()[0] for fold in folds]
    assert np.abs(kernels[0] - kernels[1]).max() > 0


def test_a_layer_of_a_model_is_cloned_with_its_vocabulary():
    task = make_task(ConvBertTextClassifier)
    x = {
        name: keras.Input((8,), name=name, dtype="int32") for name in task.input
    }
    outer = keras.Model(x, keras.ops.tanh(task(x)))
    for recursive in (False, True):
        clone = keras.models.clone_model(outer, recursive=recursive)
        (inner,) = (x for x in clone.layers if isinstance(x, type(task)))
        assert inner.preprocessor.get_config() == task.preprocessor.get_config()


@pytest.mark.one_backend("torch")
def test_arguments_that_change_the_graph_are_honored():
    """Keras then clones the graph, as it does for any other class."""
    task = make_task(ConvBertTextClassifier)
    shared = keras.models.clone_model(task, clone_function=lambda x: x)
    own = {id(weight) for weight in task.weights}
    assert {id(weight) for weight in shared.weights} == own
    calls = []

    def call(layer, *args, **kwargs):
        calls.append(layer)
        return layer(*args, **kwargs)

    keras.models.clone_model(task, call_function=call)
    assert calls
    x = {
        name: keras.Input((4,), name=name, dtype="int32") for name in task.input
    }
    clone = keras.models.clone_model(task, input_tensors=x)
    assert {tensor.shape for tensor in clone.inputs} == {(None, 4)}
    assert len(clone.weights) == len(task.weights)


@pytest.mark.one_backend("torch")
def test_a_clone_of_a_task_with_lora_can_be_trained():
    task = make_task(ConvBertTextClassifier)
    task.backbone.enable_lora(2)
    with pytest.warns(UserWarning, match="no LoRA weights. Call `enable_lora`"):
        clone = keras.models.clone_model(task)
    assert all(layer.trainable for layer in clone.layers)
    clone.compile("sgd", run_eagerly=True)
    clone.fit(TEXTS, ["no", "yes"], verbose=0)
