import json
import os

import click.testing
import numpy as np
import pytest

from keras_convbert.cli import main
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenizer
from tests.checkpoints import tf1_files
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert.transformers import transformers_models as theirs

pytestmark = pytest.mark.once


def run(*arguments):
    runner = click.testing.CliRunner()
    return runner.invoke(main, [str(argument) for argument in arguments])


def assert_same(found, wanted):
    for one, other in zip(found.weights, wanted.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


def test_theirs_becomes_a_preset(tmp_path):
    model = theirs.make("ForSequenceClassification")
    folder = theirs.save(model, tmp_path / "theirs", tokenizer=True)
    result = run("convert", folder, tmp_path / "ours")
    assert result.exit_code == 0, result.output
    found = ConvBertTextClassifier.from_preset(str(tmp_path / "ours"))
    assert_same(found, ConvBertTextClassifier.from_preset(folder))


def test_a_backbone_brings_its_tokenizer(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path / "theirs", tokenizer=True)
    for to, target in (("keras", "ours"), ("huggingface", "again")):
        result = run("convert", folder, tmp_path / target, "--to", to)
        assert result.exit_code == 0, result.output
        preset = str(tmp_path / target)
        assert_same(
            ConvBertBackbone.from_preset(preset),
            ConvBertBackbone.from_preset(folder),
        )
        tokenizer = ConvBertTokenizer.from_preset(preset)
        assert tokenizer.get_vocabulary() == texts.VOCABULARY


def test_a_keras_file_becomes_theirs(tmp_path):
    task = tasks.classifier(head="dense", backbone_options={"mask_conv": False})
    task.save(tmp_path / "task.keras")
    target = tmp_path / "theirs"
    result = run(
        "convert", tmp_path / "task.keras", target, "--to", "huggingface"
    )
    assert result.exit_code == 0, result.output
    assert_same(ConvBertTextClassifier.from_preset(str(target)), task)


def test_a_tf1_checkpoint_takes_a_vocabulary(tmp_path):
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("\n".join(texts.VOCABULARY) + "\n")
    prefix = tf1_files.prefix_of("plain")
    with pytest.warns(UserWarning, match="Only the encoder was loaded"):
        result = run(
            *("convert", prefix, tmp_path / "ours", "--vocabulary", vocabulary)
        )
    assert result.exit_code == 0, result.output
    found = ConvBertBackbone.from_preset(str(tmp_path / "ours"))
    assert_same(found, ConvBertBackbone.from_tf1_checkpoint(prefix))


@pytest.mark.parametrize(
    ("source", "message"),
    [("nowhere", "source='nowhere'"), ("convbert_small", "Expected a folder")],
)
def test_an_error_is_one_line_and_a_status(source, message, tmp_path):
    result = run("convert", source, tmp_path / "ours")
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output
    assert os.listdir(tmp_path) == []
    assert run("convert", source).exit_code == 2


def test_whole_tasks_are_converted(tmp_path):
    tasks.pretrainer().save_to_preset(tmp_path / "preset")
    result = run("convert", tmp_path / "preset", tmp_path / "ours")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "ours" / "task.weights.h5").exists()
    found = run("inspect", tmp_path / "preset").output
    assert "rtd_logits/kernel" in found
    folder = theirs.save(theirs.make(), tmp_path / "theirs")
    file = tmp_path / "theirs" / "config.json"
    config = {**json.loads(file.read_text()), "architectures": ["Other"]}
    file.write_text(json.dumps(config))
    with pytest.warns(UserWarning, match="Only the encoder is loaded"):
        run("convert", folder, tmp_path / "encoder")
    result = run("convert", folder, tmp_path / "strict", "--strict")
    assert result.exit_code == 2
    assert "--to huggingface" in result.output


def test_what_was_there_is_kept(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path / "theirs")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    result = run("convert", folder, tmp_path / "kept")
    assert result.exit_code == 1
    assert "kept" in result.output
    assert os.listdir(tmp_path / "kept") == ["file"]


def test_inspection_says_what_takes_each_array(tmp_path):
    folder = theirs.save(theirs.make("ForMaskedLM"), tmp_path / "theirs")
    found = run("inspect", folder).output
    assert "transformer_layer_1/mixed_attention/query/kernel" in found
    assert "mlm_head/output_bias" in found
    assert " 0 unused arrays" in found
    assert "Loads as keras_convbert.models.ConvBertMaskedLM." in found
    found = run("inspect", tf1_files.prefix_of("plain")).output
    assert "electra/embeddings/word_embeddings" in found
    tasks.classifier().save(tmp_path / "task.keras")
    assert "logits/kernel" in run("inspect", tmp_path / "task.keras").output
