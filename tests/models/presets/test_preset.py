"""Each file of a preset is opened once; Keras opens its weights twice."""

import collections
import os
import pathlib
import sys

import h5py
import pytest
import safetensors

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.models.presets.preset import Preset
from tests.models.convbert import tasks
from tests.models.convbert.transformers import transformers_models as theirs

pytestmark = pytest.mark.once
_watched = {"folder": None, "opens": collections.Counter()}


def _count(path):
    folder = _watched["folder"]
    if folder is not None and isinstance(path, str | bytes | os.PathLike):
        found = pathlib.Path(os.path.realpath(os.fsdecode(path)))
        if found.is_relative_to(folder) and found.is_file():
            _watched["opens"][str(found.relative_to(folder))] += 1


sys.addaudithook(
    lambda event, arguments: _count(arguments[0]) if event == "open" else None
)


@pytest.fixture
def opens(monkeypatch):
    """A function that watches a folder, and the number of opens per file.

    Python reports its own opens to audit hooks. Files that safetensors and
    HDF5 open in native code are counted where Python calls them.
    """
    safe_open, h5_file = safetensors.safe_open, h5py.File

    def counted_safe_open(path, *args, **kwargs):
        _count(path)
        return safe_open(path, *args, **kwargs)

    class CountedFile(h5_file):
        def __init__(self, name, *args, **kwargs):
            _count(name)
            super().__init__(name, *args, **kwargs)

    monkeypatch.setattr(safetensors, "safe_open", counted_safe_open)
    monkeypatch.setattr(h5py, "File", CountedFile)

    def watch(folder):
        _watched["folder"] = os.path.realpath(folder)
        _watched["opens"].clear()
        return _watched["opens"]

    yield watch
    _watched["folder"] = None


def test_a_folder_of_transformers_is_read_once(tmp_path, opens):
    model = theirs.make("ForSequenceClassification")
    theirs.save(model, tmp_path, tokenizer=True)
    counts = opens(tmp_path)
    task = ConvBertTextClassifier.from_preset(tmp_path)
    assert task.preprocessor is not None
    assert counts["config.json"] == 1
    assert counts["model.safetensors"] == 1
    assert counts["tokenizer.json"] == 1
    assert set(counts.values()) == {1}, counts


def test_shards_are_read_once(tmp_path, opens):
    model = theirs.make("ForSequenceClassification")
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    shards = [path.name for path in tmp_path.glob("*.safetensors")]
    assert len(shards) > 2
    counts = opens(tmp_path)
    with pytest.warns(UserWarning, match="has no vocabulary"):
        ConvBertTextClassifier.from_preset(tmp_path)
    for name in ("config.json", "model.safetensors.index.json", *shards):
        assert counts[name] == 1, counts


def test_a_preset_of_keras_is_read_once(tmp_path, opens):
    tasks.classifier().save_to_preset(tmp_path)
    counts = opens(tmp_path)
    ConvBertTextClassifier.from_preset(tmp_path)
    # Weights are checked before they are loaded.
    twice = {name for name, count in counts.items() if count != 1}
    assert twice == {"model.weights.h5", "task.weights.h5"}, counts
    assert {counts[name] for name in twice} == {2}
    names = ("config.json", "task.json", "preprocessor.json")
    assert {counts[name] for name in names} == {1}
    assert counts["assets/tokenizer/vocabulary.txt"] == 1


@pytest.mark.parametrize("cls", [ConvBertBackbone, ConvBertTokenizer])
def test_parts_of_a_preset_are_read_once(cls, tmp_path, opens):
    tasks.classifier().save_to_preset(tmp_path)
    counts = opens(tmp_path)
    cls.from_preset(tmp_path)
    read_once = {n: c for n, c in counts.items() if not n.endswith(".h5")}
    assert set(read_once.values()) == {1}, counts


def test_an_open_preset_is_a_path(tmp_path):
    tasks.backbone().save_to_preset(tmp_path)
    preset = Preset.open(tmp_path, ConvBertBackbone)
    assert Preset.open(preset, ConvBertBackbone) is preset
    assert os.fspath(preset) == str(preset) == str(tmp_path)
    content = preset.read("config.json")
    content["config"].clear()
    assert preset.read("config.json")["config"]["num_layers"] == 1
    assert preset.read("no_such.json") == {}
    assert ConvBertBackbone.from_preset(preset).num_layers == 1
