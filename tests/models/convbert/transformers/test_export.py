"""Our models, as `transformers` loads them."""

import json

import numpy as np
import pytest
import torch
import transformers

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenClassifier
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert import tiny
from tests.models.convbert.transformers import transformers_models as theirs

NEAR = {"atol": 1e-5, "rtol": 1e-5}
HEADS = {
    "Model": ConvBertBackbone,
    "ForMaskedLM": ConvBertMaskedLM,
    "ForSequenceClassification": ConvBertTextClassifier,
    "ForTokenClassification": ConvBertTokenClassifier,
    "ForQuestionAnswering": ConvBertQuestionAnswerer,
}


def open_theirs(name, folder):
    kind = getattr(transformers, f"ConvBert{name}")
    model, found = kind.from_pretrained(folder, output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert not found["mismatched_keys"]
    return model.eval()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("groups", [1, 2])
def test_the_way_there_and_back_changes_no_bit(name, groups, tmp_path):
    options = {}
    if name == "ForQuestionAnswering":
        options = {"num_labels": 2, "max_position_embeddings": 80}
    model = theirs.make(name, num_groups=groups, **options)
    folder = theirs.save(model, tmp_path / "theirs", tokenizer=True)
    HEADS[name].from_preset(folder).export_to_transformers(tmp_path / "ours")
    found = open_theirs(name, tmp_path / "ours").state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(found[key], value), key
    wanted = json.loads((tmp_path / "theirs" / "config.json").read_text())
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    # Where theirs leave the dropout of a head open, ours say what that means.
    of_no_account = {"bos_token_id", "eos_token_id", "classifier_dropout"}
    for key in (wanted.keys() & config.keys()) - of_no_account:
        assert config[key] == wanted[key], key


def test_a_classifier_made_here_answers_the_same_there(tmp_path):
    task = tasks.classifier(
        head="dense", backbone_options={"mask_conv": False, "num_groups": 2}
    )
    task.export_to_transformers(tmp_path / "model")
    model = open_theirs("ForSequenceClassification", tmp_path / "model")
    arrays = theirs.inputs(length=10)
    arrays["token_ids"] %= len(texts.VOCABULARY)
    np.testing.assert_allclose(
        to_numpy(task(arrays)), theirs.call(model, arrays), **NEAR
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert len(tokenizer) == len(texts.VOCABULARY)
    text = ["a B  c", "é d"]
    ours = task.preprocessor(text)["token_ids"]
    found = tokenizer(text, padding="max_length", max_length=ours.shape[1])
    np.testing.assert_array_equal(ours, found["input_ids"])


@pytest.mark.once
def test_masked_convolution_is_told_of(tmp_path):
    backbone = tiny.backbone()
    with pytest.warns(UserWarning, match="mask_conv=True"):
        backbone.export_to_transformers(tmp_path / "model")
    assert "mask_conv=True" in (tmp_path / "model" / "README.md").read_text()
    with pytest.raises(ValueError, match="mask_conv=True"):
        backbone.export_to_transformers(tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()
    arrays = theirs.inputs(padded=False)
    arrays["token_ids"] %= tiny.VOCABULARY_SIZE
    np.testing.assert_allclose(
        to_numpy(backbone(arrays)["sequence_output"]),
        theirs.call(open_theirs("Model", tmp_path / "model"), arrays),
        **NEAR,
    )


def test_what_lora_learnt_goes_with_it(tmp_path):
    backbone = tiny.backbone(mask_conv=False)
    backbone.enable_lora(2)
    for weight in backbone.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape) * 0.1)
    backbone.export_to_transformers(tmp_path / "model")
    arrays = theirs.inputs()
    arrays["token_ids"] %= tiny.VOCABULARY_SIZE
    np.testing.assert_allclose(
        to_numpy(backbone(arrays)["sequence_output"]),
        theirs.call(open_theirs("Model", tmp_path / "model"), arrays),
        **NEAR,
    )


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:This model has `mask_conv")
def test_a_pretrainer_gives_its_encoder(tmp_path):
    pretrainer = tiny.pretrainer()
    with pytest.warns(UserWarning, match="Only the encoder"):
        pretrainer.export_to_transformers(tmp_path / "model")
    back = ConvBertBackbone.from_preset(str(tmp_path / "model"))
    for one, other in zip(
        back.weights, pretrainer.backbone.weights, strict=True
    ):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tiny.backbone(conv=False, head_ratio=1), "conv=False"),
        (lambda: tiny.backbone(head_ratio=4), "head_dim=8"),
        (lambda: tiny.backbone(activation="elu"), "activation='elu'"),
        (lambda: tasks.classifier(), 'head="linear"'),
        (
            lambda: tasks.masked_lm(backbone_options={"activation": "relu"}),
            "Expected the activation gelu",
        ),
    ],
)
def test_what_theirs_cannot_be_is_refused(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make().export_to_transformers(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.once
def test_quantized_models_are_refused(tmp_path):
    backbone = tiny.backbone()
    backbone.quantize("int8")
    with pytest.raises(ValueError, match="not quantized"):
        backbone.export_to_transformers(tmp_path / "model")


@pytest.mark.once
def test_a_tokenizer_goes_alone(tmp_path):
    texts.tokenizer().export_to_transformers(tmp_path / "tokenizer")
    found = transformers.ConvBertTokenizer.from_pretrained(
        tmp_path / "tokenizer"
    )
    assert found.get_vocab() == {t: i for i, t in enumerate(texts.VOCABULARY)}
    assert found("a b")["input_ids"][0] == found.cls_token_id


@pytest.mark.once
def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "kept.txt").write_text("kept")
    with pytest.raises(FileExistsError):
        tiny.backbone(mask_conv=False).export_to_transformers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
