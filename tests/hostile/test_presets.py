"""Presets of a stranger, through `from_preset` of each class."""

import json
import os
import shutil

import h5py
import pytest

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.text import vocabulary
from tests.hostile import guard
from tests.models.convbert import tasks

pytestmark = pytest.mark.once
CLASSES = {
    "backbone": ConvBertBackbone,
    "classifier": ConvBertTextClassifier,
    "preprocessor": ConvBertTextClassifierPreprocessor,
    "tokenizer": ConvBertTokenizer,
}
VOCABULARY = "assets/tokenizer/vocabulary.txt"
LAMBDA = {"class_name": "__lambda__", "config": {"value": ["", None, None]}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    tasks.classifier().save_to_preset(str(folder))
    return folder


@pytest.fixture
def preset(saved, place):
    shutil.copytree(saved, place / "mine", dirs_exist_ok=True)
    return place / "mine"


def update(file, *keys, **values):
    """Changes a part of a file of JSON."""

    def change(preset, outside):
        content = json.loads((preset / file).read_text())
        part = content
        for key in keys:
            part = part[key]
        part.update(values)
        (preset / file).write_text(json.dumps(content))

    return change


def text(file, content):
    return lambda preset, outside: (preset / file).write_text(content)


def link(file, target):
    def change(preset, outside):
        (preset / file).unlink()
        (preset / file).symlink_to(outside / target)

    return change


def linked_weights(preset, outside):
    shutil.move(preset / "model.weights.h5", outside / "model.weights.h5")
    (preset / "model.weights.h5").symlink_to(outside / "model.weights.h5")


def linked_folder(preset, outside):
    shutil.move(preset / "assets", outside / "assets")
    (preset / "assets").symlink_to(outside / "assets")


def without(file, key):
    def change(preset, outside):
        content = json.loads((preset / file).read_text())
        del content[key]
        (preset / file).write_text(json.dumps(content))

    return change


def without_head(preset, outside):
    (preset / "task.weights.h5").unlink()


def an_array_more(preset, outside):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        file["zzz/vars/0"] = [1.0]


def an_array_never_written(preset, outside):
    with h5py.File(preset / "model.weights.h5", "a") as file:
        group = file["layers/layer_normalization/vars"]
        shape = group["0"].shape
        del group["0"]
        group.create_dataset("0", shape, "float32", chunks=shape)


def pipe(preset, outside):
    (preset / VOCABULARY).unlink()
    os.mkfifo(preset / VOCABULARY)


def shard(name):
    def change(preset, outside):
        shutil.move(preset / "model.weights.h5", outside / "x.weights.h5")
        index = {"metadata": {}, "weight_map": {"/layers/dense/vars": name}}
        (preset / "model.weights.json").write_text(json.dumps(index))

    return change


def parseq(preset, outside):
    update(
        "preprocessor.json",
        "config",
        tokenizer={
            "module": "keras_hub.tokenizers",
            "class_name": "PARSeqTokenizer",
            "registered_name": "keras_hub>PARSeqTokenizer",
            "config": {"vocabulary": str(outside / "secret.txt")},
        },
    )(preset, outside)


def vocabulary_path(preset, outside):
    path = str(outside / "secret.txt")
    update("tokenizer.json", "config", vocabulary=path)(preset, outside)


FUNCTION = {
    "module": "keras.config",
    "class_name": "function",
    "config": "set_dtype_policy",
    "registered_name": "set_dtype_policy",
}
OS_SYSTEM = {"module": "os", "class_name": "system", "registered_name": None}
CASES = {
    "os.system": ("backbone", update("config.json", **OS_SYSTEM), "os.system"),
    "a lambda": (
        "backbone",
        update("config.json", "config", activation=LAMBDA),
        "not on the list",
    ),
    "a function that sets the policy": (
        "backbone",
        update("config.json", "config", activation=FUNCTION),
        "set_dtype_policy",
    ),
    "a tokenizer for a backbone": (
        "backbone",
        update("config.json", registered_name="keras_hub>RWKVTokenizer"),
        "not on the list",
    ),
    "a lambda in a tokenizer": (
        "tokenizer",
        update("tokenizer.json", "config", lowercase=LAMBDA),
        "not on the list",
    ),
    "the path of a vocabulary": ("tokenizer", vocabulary_path, "vocabulary"),
    "a tokenizer that reads a file": ("preprocessor", parseq, "PARSeq"),
    "a tokenizer that reads a file, by a task": (
        "classifier",
        parseq,
        "PARSeq",
    ),
    "a class in a task": (
        "classifier",
        update("task.json", "config", preprocessor=OS_SYSTEM),
        "os.system",
    ),
    "512 TiB": (
        "backbone",
        update(
            "config.json",
            "config",
            vocabulary_size=2**31 - 1,
            hidden_dim=65536,
        ),
        "too large",
    ),
    "more than the weights": (
        "backbone",
        update("config.json", "config", max_sequence_length=10**8),
        "too large",
    ),
    "more than the weights, in a task": (
        "classifier",
        update("task.json", "config", num_classes=10**8),
        "too large",
    ),
    "a long text": (
        "preprocessor",
        update("preprocessor.json", "config", sequence_length=2**40),
        "sequence_length",
    ),
    "JSON without end": ("backbone", text("config.json", "[" * 10**5), "JSON"),
    "JSON that ends early": ("backbone", text("config.json", '{"a'), "JSON"),
    "JSON that is too long": (
        "tokenizer",
        text("tokenizer.json", " " * 2**21),
        "bytes at most",
    ),
    "a config elsewhere": (
        "backbone",
        link("config.json", "secret.txt"),
        "leads out",
    ),
    "a vocabulary elsewhere": (
        "tokenizer",
        link(VOCABULARY, "secret.txt"),
        "leads out",
    ),
    "a vocabulary elsewhere, by a task": (
        "classifier",
        link(VOCABULARY, "secret.txt"),
        "leads out",
    ),
    "a vocabulary that is not there": (
        "tokenizer",
        link(VOCABULARY, "nothing"),
        "leads out",
    ),
    "a folder elsewhere": ("tokenizer", linked_folder, "leads out"),
    "a pipe": ("tokenizer", pipe, "to be a file"),
    "weights elsewhere": ("backbone", linked_weights, "leads out"),
    "a shard elsewhere": (
        "backbone",
        shard("../outside/x.weights.h5"),
        "plain name",
    ),
    "a shard at a root": ("backbone", shard("/etc/passwd"), "plain name"),
    "no head": ("classifier", without_head, "weights of the head"),
    "an array more": ("backbone", an_array_more, "no variable for 'zzz"),
    "an array that was never written": (
        "backbone",
        an_array_never_written,
        "was not written",
    ),
    "no config": ("backbone", without("config.json", "config"), "config"),
    "no config, in a task": (
        "classifier",
        without("task.json", "config"),
        "KeyError: 'config'",
    ),
    "a list for a config": (
        "backbone",
        update("config.json", config=[]),
        "Cannot load .* AttributeError",
    ),
    "a text for a config": (
        "tokenizer",
        update("tokenizer.json", config="x"),
        "Cannot load .* TypeError",
    ),
    "no config of a tokenizer": (
        "tokenizer",
        without("tokenizer.json", "config"),
        "KeyError: 'config'",
    ),
    "NaN for epsilon": (
        "backbone",
        update("config.json", "config", layer_norm_epsilon=float("nan")),
        "layer_norm_epsilon=nan",
    ),
    "text for epsilon": (
        "backbone",
        update("config.json", "config", layer_norm_epsilon="x"),
        "ConvBertBackbone.* could not be deserialized",
    ),
    "text for a rate": (
        "classifier",
        update("task.json", "config", dropout="x"),
        "ConvBertTextClassifier.* could not be deserialized",
    ),
    "a shard of Windows": ("backbone", shard("..\\x"), "plain name"),
}


@pytest.mark.parametrize("case", CASES)
def test_presets_are_refused(case, preset, place):
    name, change, match = CASES[case]
    change(preset, place / "outside")
    with guard.nothing_happens(preset):
        with pytest.raises(CheckpointError, match=match) as caught:
            CLASSES[name].from_preset(str(preset))
    assert str(preset) in str(caught.value)


@pytest.mark.parametrize("load_weights", [True, False])
def test_sizes_are_bounded_without_weights_too(load_weights, preset):
    change = update(
        "config.json", "config", vocabulary_size=2**31 - 1, hidden_dim=65536
    )
    change(preset, None)
    with guard.nothing_happens(preset):
        with pytest.raises(CheckpointError, match="too large"):
            ConvBertBackbone.from_preset(str(preset), load_weights=load_weights)


def test_weights_of_another_shape_are_refused(preset):
    update("config.json", "config", intermediate_dim=32)(preset, None)
    with guard.nothing_happens(preset):
        with pytest.raises(CheckpointError, match=r"instead of \(32, 32\)"):
            ConvBertBackbone.from_preset(str(preset))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("MAX_BYTES", "a\n" * 20),
        ("MAX_TOKENS", "a\n" * 20),
    ],
)
def test_huge_vocabularies_are_refused(name, content, preset, monkeypatch):
    monkeypatch.setattr(vocabulary, name, 10)
    (preset / VOCABULARY).write_text(content)
    with guard.nothing_happens(preset):
        with pytest.raises(ValueError, match="at most"):
            ConvBertTokenizer.from_preset(str(preset))


@pytest.mark.parametrize("name", CLASSES)
def test_the_links_of_a_hub_are_followed(name, saved, tmp_path):
    repository = tmp_path / "models--someone--something"
    snapshot = repository / "snapshots" / "0123abcd"
    (repository / "blobs").mkdir(parents=True)
    for i, file in enumerate(sorted(saved.rglob("*.*"))):
        if file.is_file():
            shutil.copy(file, repository / "blobs" / str(i))
            linked = snapshot / file.relative_to(saved)
            linked.parent.mkdir(parents=True, exist_ok=True)
            target = os.path.relpath(
                repository / "blobs" / str(i), linked.parent
            )
            linked.symlink_to(target)
    CLASSES[name].from_preset(str(snapshot))
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(saved / "config.json")
    with pytest.raises(CheckpointError, match="leads out"):
        CLASSES[name].from_preset(str(snapshot))


def test_safe_mode_is_restored(preset):
    state = guard.global_state()
    for cls in CLASSES.values():
        cls.from_preset(str(preset))
    assert guard.global_state() == state
