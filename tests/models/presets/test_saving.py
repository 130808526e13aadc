import json
import pathlib

import keras
import keras_hub
import numpy as np
import pytest

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertMaskedLMPreprocessor
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer
from tests.models.convbert import tasks
from tests.models.convbert import texts

X = texts.letters(12, longest=7)
Y = np.arange(12) % 3
TASKS = [tasks.classifier, tasks.masked_lm, tasks.pretrainer]


def names(folder):
    return {path.name for path in pathlib.Path(folder).iterdir()}


@pytest.mark.parametrize(
    "dtype",
    ["mixed_bfloat16", pytest.param("bfloat16", marks=pytest.mark.long)],
)
@pytest.mark.parametrize("make", TASKS, ids=lambda make: make.__name__)
def test_half_precision_comes_back(make, dtype, tmp_path):
    task = make(backbone_options={"dtype": dtype})
    arrays = tasks.inputs(task, X)
    task.save_to_preset(tmp_path)
    found = type(task).from_preset(tmp_path, dtype=dtype)
    assert found.backbone.dtype_policy.name == dtype
    np.testing.assert_array_equal(
        tasks.outputs(found, arrays), tasks.outputs(task, arrays)
    )
    # As KerasHub has it, a preset takes the dtype of the program.
    whole = type(task).from_preset(tmp_path)
    assert whole.backbone.dtype_policy.name == "float32"
    for one, other in zip(whole.weights, task.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(keras.ops.cast(one, "float32")),
            keras.ops.convert_to_numpy(keras.ops.cast(other, "float32")),
        )


@pytest.mark.once
@pytest.mark.parametrize("make", TASKS, ids=lambda make: make.__name__)
def test_shards(make, tmp_path):
    task = make()
    arrays = tasks.inputs(task, X)
    task.save_to_preset(tmp_path, max_shard_size=2e-5)
    assert len([*tmp_path.glob("model_0*.weights.h5")]) > 1
    wanted = tasks.outputs(task, arrays)
    np.testing.assert_array_equal(
        tasks.outputs(type(task).from_preset(tmp_path), arrays), wanted
    )
    # What is in one file again does not leave the shards beside it.
    task.save_to_preset(tmp_path)
    assert "model.weights.h5" in names(tmp_path)
    assert not [*tmp_path.glob("model_0*.weights.h5")]
    np.testing.assert_array_equal(
        tasks.outputs(type(task).from_preset(tmp_path), arrays), wanted
    )


def with_lora(tmp_path):
    """A preset, and the same classifier after it was trained with LoRA."""
    task = tasks.classifier()
    task.save_to_preset(tmp_path / "before")
    before = tasks.outputs(task, tasks.inputs(task, X))
    task.backbone.enable_lora(2)
    task.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
    task.optimizer.learning_rate = 0.1
    task.fit(X, Y, verbose=0)
    wanted = tasks.outputs(task, tasks.inputs(task, X))
    assert abs(wanted - before).max() > 1e-2
    return task, wanted


def test_lora_is_merged_in_a_preset(tmp_path):
    task, wanted = with_lora(tmp_path)
    task.save_to_preset(tmp_path / "after")
    revived = ConvBertTextClassifier.from_preset(tmp_path / "after")
    assert not [w.path for w in revived.weights if "lora" in w.path]
    np.testing.assert_allclose(
        tasks.outputs(revived, tasks.inputs(revived, X)), wanted, atol=1e-5
    )


@pytest.mark.parametrize("enabled", [False, True])
def test_lora_alone_is_a_small_file(enabled, tmp_path):
    task, wanted = with_lora(tmp_path)
    task.save_to_preset(tmp_path / "head")
    path = tmp_path / "learnt.lora.h5"
    task.backbone.save_lora_weights(path)
    revived = ConvBertTextClassifier.from_preset(tmp_path / "head")
    revived.backbone.load_weights(tmp_path / "before" / "model.weights.h5")
    if enabled:
        revived.backbone.enable_lora(2)
    revived.backbone.load_lora_weights(path)
    np.testing.assert_array_equal(
        tasks.outputs(revived, tasks.inputs(revived, X)), wanted
    )
    assert path.stat().st_size < (
        (tmp_path / "before" / "model.weights.h5").stat().st_size
    )


@pytest.mark.once
def test_lora_that_does_not_fit_is_refused(tmp_path):
    task, _ = with_lora(tmp_path)
    learnt = [weight.path for weight in task.backbone.trainable_weights]
    assert learnt
    assert all("lora_kernel" in path for path in learnt)
    path = tmp_path / "learnt.lora.h5"
    with pytest.raises(ValueError, match=r"ends in '\.lora\.h5'"):
        task.backbone.save_lora_weights(tmp_path / "learnt.h5")
    task.backbone.save_lora_weights(path)
    other = tasks.backbone()
    other.enable_lora(3)
    with pytest.raises(CheckpointError, match=r"rank of the backbone, 3.*=2"):
        other.load_lora_weights(path)
    deeper = tasks.backbone(num_layers=3)
    with pytest.raises(CheckpointError, match="does not fit the backbone"):
        deeper.load_lora_weights(path)
    assert not [w.path for w in deeper.weights if "lora" in w.path]
    spoilt = task.backbone.trainable_weights[0]
    spoilt.assign(np.full(spoilt.shape, np.nan))
    task.backbone.save_lora_weights(path)
    with pytest.raises(CheckpointError, match="NaN"):
        tasks.backbone().load_lora_weights(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"learnt\.lora\.h5"):
        tasks.backbone().load_lora_weights(path)


@pytest.mark.once
def test_a_pretrainer_is_not_quantized():
    with pytest.raises(ValueError, match=r"`\.backbone`.*mode='int8'"):
        tasks.pretrainer().quantize("int8")


@pytest.mark.once
def test_pretraining_starts_from_a_backbone(tmp_path):
    backbone = tasks.backbone()
    backbone.save_to_preset(tmp_path)
    texts.tokenizer().save_to_preset(tmp_path)
    with pytest.warns(UserWarning, match=r"\(generator, .*rtd_logits\) is new"):
        task = ConvBertPretrainer.from_preset(tmp_path, sequence_length=8)
    assert task.preprocessor.sequence_length == 8
    np.testing.assert_array_equal(
        task.backbone.token_embedding.embeddings,
        backbone.token_embedding.embeddings,
    )
    task.fit(X, verbose=0)


@pytest.mark.once
def test_tokenizers_and_preprocessors_alone(tmp_path):
    texts.tokenizer().save_to_preset(tmp_path / "tokenizer")
    preprocessor = ConvBertTextClassifierPreprocessor(
        texts.tokenizer(), sequence_length=6, truncate="waterfall"
    )
    preprocessor.save_to_preset(tmp_path / "preprocessor")
    for folder in ("tokenizer", "preprocessor"):
        tokenizer = ConvBertTokenizer.from_preset(tmp_path / folder)
        assert tokenizer.get_vocabulary() == texts.VOCABULARY
    found = ConvBertTextClassifierPreprocessor.from_preset(
        tmp_path / "preprocessor", sequence_length=7
    )
    assert (found.sequence_length, found.truncate) == (7, "waterfall")
    for folder in ("tokenizer", "preprocessor"):
        other = ConvBertMaskedLMPreprocessor.from_preset(tmp_path / folder)
        assert other.sequence_length == 512
        assert other.tokenizer.get_vocabulary() == texts.VOCABULARY


@pytest.mark.once
def test_a_preset_has_what_a_page_of_a_hub_shows(tmp_path):
    task = tasks.masked_lm()
    task.save_to_preset(tmp_path)
    card = (tmp_path / "README.md").read_text()
    _, fields, body = card.split("---\n")
    assert "library_name: keras-hub\npipeline_tag: fill-mask\n" in fields
    assert "- keras_convbert\n" in fields
    assert "ConvBertMaskedLM.from_preset(" in body
    assert f"{task.count_params():,} parameters" in body
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert metadata["parameter_count"] == task.backbone.count_params()
    assert "keras_convbert_version" in metadata


@pytest.mark.once
def test_an_edited_card_stays(tmp_path):
    tasks.backbone().save_to_preset(tmp_path)
    card = tmp_path / "README.md"
    tasks.masked_lm().save_to_preset(tmp_path)
    assert "# ConvBertMaskedLM" in card.read_text()
    mine = card.read_text().replace("saved by", "mine, saved by")
    card.write_text(mine)
    tasks.classifier().save_to_preset(tmp_path)
    assert card.read_text() == mine


@pytest.mark.once
def test_another_model_takes_the_place_of_the_old(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    tasks.classifier().save_to_preset(tmp_path)
    assert {"task.json", "task.weights.h5"} <= names(tmp_path)
    backbone = tasks.backbone()
    backbone.save_to_preset(tmp_path)
    assert not {"task.json", "task.weights.h5"} & names(tmp_path)
    # The tokenizer was saved there, and serves on.
    assert {"tokenizer.json", "notes.txt"} <= names(tmp_path)
    task = ConvBertMaskedLM.from_preset(tmp_path, load_weights=False)
    assert task.preprocessor.tokenizer.get_vocabulary() == texts.VOCABULARY


@pytest.mark.once
def test_what_fails_while_saving_leaves_the_old_preset(tmp_path, monkeypatch):
    task = tasks.classifier()
    task.save_to_preset(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for value in task.weights:
        value.assign(value + 1)

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(ConvBertTokenizer, "save_assets", fail)
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(OSError, match="disk full"):
            task.save_to_preset(folder)
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert after == before
    assert not (tmp_path / "new").exists()


@pytest.mark.long
@pytest.mark.once
def test_presets_of_kaggle_come_from_its_cache(tmp_path, monkeypatch):
    import kagglehub
    from kagglehub import cache
    from kagglehub import http_resolver
    from kagglehub.exceptions import KaggleApiHTTPError
    from kagglehub.handle import parse_model_handle

    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    handle = parse_model_handle("user/convbert/keras/tiny/1")
    task = tasks.classifier()
    folder = pathlib.Path(cache.Cache().get_path(handle))
    task.save_to_preset(folder)
    for file in [p for p in folder.rglob("*") if p.is_file()]:
        cache.Cache().mark_as_complete(handle, str(file.relative_to(folder)))

    class Response:
        status_code = 404

    def missing(*args, **kwargs):
        raise KaggleApiHTTPError("404 Client Error", response=Response())

    monkeypatch.setattr(http_resolver, "handle_call", missing)
    assert kagglehub.model_download(
        "user/convbert/keras/tiny/1", "config.json"
    ) == str(folder / "config.json")
    preset = "kaggle://user/convbert/keras/tiny/1"
    revived = ConvBertTextClassifier.from_preset(preset)
    arrays = tasks.inputs(task, X)
    np.testing.assert_array_equal(
        tasks.outputs(revived, arrays), tasks.outputs(task, arrays)
    )
    backbone = ConvBertBackbone.from_preset(preset)
    assert backbone.count_params() == task.backbone.count_params()
    assert type(keras_hub.models.Backbone.from_preset(preset)) is type(backbone)
    tokenizer = ConvBertTokenizer.from_preset(preset)
    assert tokenizer.get_vocabulary() == texts.VOCABULARY
    # It has no file for the preprocessor of this task.
    masked = ConvBertMaskedLMPreprocessor.from_preset(preset)
    assert masked.sequence_length == 32
