"""Checkpoints of Hugging Face's, against what `transformers` computes."""

import json
import os
import shutil

import keras
import numpy as np
import pytest
import torch

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertMaskedLMPreprocessor
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertPretrainerPreprocessor
from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTokenClassifier
from keras_convbert.models import ConvBertTokenizer
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import texts
from tests.models.convbert.transformers import transformers_models as theirs

NEAR = {"atol": 1e-5, "rtol": 1e-5}
WEIGHTS = "model.safetensors"
GRID = {
    "plain": {},
    "one_width": {"embedding_size": 24},
    "two_groups": {"num_groups": 2},
    "four_groups": {"num_groups": 4},
    "long_kernel": {"conv_kernel_size": 9},
    "kernel_5": {"conv_kernel_size": 5, "num_groups": 2},
    "ratio_1": {"head_ratio": 1},
    "ratio_4": {"head_ratio": 4},
    "beyond_ratio": {"head_ratio": 8},
    "one_head": {"num_attention_heads": 1, "head_ratio": 1},
    "odd_heads": {"num_attention_heads": 3},
    "relu": {"hidden_act": "relu"},
    "large_epsilon": {"layer_norm_eps": 1e-3},
}


@pytest.mark.parametrize("name", GRID)
def test_encoder_gives_what_theirs_gives(name, tmp_path):
    model = theirs.make(**GRID[name])
    backbone = ConvBertBackbone.from_preset(theirs.save(model, tmp_path))
    assert not backbone.mask_conv
    lengths = (2, 12, 40) if name == "plain" else (2, 12)
    for length in lengths:
        arrays = theirs.inputs(length)
        np.testing.assert_allclose(
            to_numpy(backbone(arrays)["sequence_output"]),
            theirs.call(model, arrays),
            **NEAR,
        )


def test_masked_lm_gives_what_theirs_gives(tmp_path):
    model = theirs.make("ForMaskedLM")
    task = ConvBertMaskedLM.from_preset(
        theirs.save(model, tmp_path, tokenizer=True)
    )
    arrays = theirs.inputs()
    positions = np.tile(np.arange(12, dtype="int32"), (3, 1))
    found = to_numpy(task({**arrays, "mask_positions": positions}))
    np.testing.assert_allclose(found, theirs.call(model, arrays), **NEAR)
    tokenizer = task.preprocessor.tokenizer
    assert tokenizer.get_vocabulary() == texts.VOCABULARY
    assert task.preprocessor.sequence_length == 40


@pytest.mark.parametrize("changes", [{}, {"hidden_act": "relu"}])
def test_classifier_gives_what_theirs_gives(changes, tmp_path, recwarn):
    model = theirs.make(
        "ForSequenceClassification", classifier_dropout=0.3, **changes
    )
    folder = theirs.save(model, tmp_path, tokenizer=True)
    task = ConvBertTextClassifier.from_preset(folder)
    assert (task.head, task.num_classes, task.dropout) == ("dense", 3, 0.3)
    arrays = theirs.inputs()
    np.testing.assert_allclose(
        to_numpy(task(arrays)), theirs.call(model, arrays), **NEAR
    )
    assert task.predict(["a b c"], verbose=0).shape == (1, 3)
    assert [str(w.message) for w in recwarn if w.category is UserWarning] == []


def test_token_classifier_gives_what_theirs_gives(tmp_path, recwarn):
    labels = ["O", "B-PER", "I-PER"]
    model = theirs.make(
        "ForTokenClassification", id2label={i: x for i, x in enumerate(labels)}
    )
    folder = theirs.save(model, tmp_path, tokenizer=True)
    task = ConvBertTokenClassifier.from_preset(folder)
    assert task.labels == task.preprocessor.labels == labels
    arrays = theirs.inputs()
    np.testing.assert_allclose(
        to_numpy(task(arrays)), theirs.call(model, arrays), **NEAR
    )
    assert [*map(len, task.predict_labels([["a", "b"], []]))] == [2, 0]
    assert [str(w.message) for w in recwarn if w.category is UserWarning] == []


def test_question_answerer_gives_what_theirs_gives(tmp_path, recwarn):
    model = theirs.make("ForQuestionAnswering", num_labels=2)
    folder = theirs.save(model, tmp_path, tokenizer=True)
    task = ConvBertQuestionAnswerer.from_preset(
        folder, sequence_length=40, max_question_length=8
    )
    arrays = theirs.inputs()
    found = task(arrays)
    for i, name in enumerate(("start_logits", "end_logits")):
        np.testing.assert_allclose(
            to_numpy(found[name]), theirs.call(model, arrays, i), **NEAR
        )
    (answer,) = task.predict_answers(["a"], ["b c d"])
    assert answer["text"] in "b c d"
    assert [str(w.message) for w in recwarn if w.category is UserWarning] == []


def test_a_head_that_is_not_there_is_new_with_a_warning(tmp_path):
    model = theirs.make("ForMaskedLM")
    folder = theirs.save(model, tmp_path, tokenizer=True)
    with pytest.raises(ValueError, match="no head for ConvBertTextClassifier"):
        ConvBertTextClassifier.from_preset(folder)
    with pytest.warns(UserWarning, match="logits/kernel.* is new"):
        task = ConvBertTextClassifier.from_preset(folder, num_classes=5)
    assert task.head == "linear"
    arrays = theirs.inputs()
    np.testing.assert_allclose(
        to_numpy(task.backbone(arrays)["sequence_output"]),
        theirs.call(model.convbert, arrays),
        **NEAR,
    )


def test_another_size_of_head_is_new(tmp_path):
    model = theirs.make("ForSequenceClassification")
    folder = theirs.save(model, tmp_path, tokenizer=True)
    with pytest.warns(UserWarning, match="is new"):
        task = ConvBertTextClassifier.from_preset(folder, num_classes=7)
    assert task.num_classes == 7


def test_no_weights_are_read_unless_asked_for(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path)
    os.remove(tmp_path / WEIGHTS)
    backbone = ConvBertBackbone.from_preset(folder, load_weights=False)
    assert backbone.head_dim == 6
    with pytest.raises(FileNotFoundError, match=WEIGHTS):
        ConvBertBackbone.from_preset(folder)


def test_pretraining_goes_on_from_their_encoder(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path)
    backbone = ConvBertBackbone.from_preset(folder)
    before = [to_numpy(weight) for weight in backbone.weights]
    pretrainer = ConvBertPretrainer(
        backbone,
        generator_scale=0.5,
        mask_token_id=4,
        special_token_ids=[0, 2, 3, 4],
    )
    pretrainer.compile("sgd", run_eagerly=keras.backend.backend() != "jax")
    losses = pretrainer.fit(theirs.inputs(), verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert any(
        (to_numpy(weight) != old).any()
        for weight, old in zip(pretrainer.backbone.weights, before, strict=True)
    )


def as_torch(folder):
    """The same weights as `pytorch_model.bin`; takes the others away."""
    arrays = read(folder)
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    torch.save(tensors, os.path.join(folder, "pytorch_model.bin"))
    os.remove(os.path.join(folder, WEIGHTS))


def as_shards(folder):
    from safetensors.numpy import save_file

    arrays = read(folder)
    os.remove(os.path.join(folder, WEIGHTS))
    names = sorted(arrays)
    weight_map = {}
    for i, part in enumerate((names[::2], names[1::2])):
        shard = f"model-{i + 1:05d}-of-00002.safetensors"
        save_file({n: arrays[n] for n in part}, os.path.join(folder, shard))
        weight_map.update(dict.fromkeys(part, shard))
    index = os.path.join(folder, f"{WEIGHTS}.index.json")
    with open(index, "w") as file:
        json.dump({"metadata": {}, "weight_map": weight_map}, file)


def as_first_release(folder):
    """As the first port had it: other names of the class and of a norm."""
    arrays = read(folder)
    renamed = {
        name.replace("key_conv_attn_layer", "separable_conv1d")
        .replace("conv_kernel_layer", "conv_attn_kernel")
        .replace("conv_out_layer", "conv_attn_point")
        .replace("LayerNorm.weight", "LayerNorm.gamma")
        .replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in arrays.items()
    }
    renamed["embeddings.position_ids"] = np.arange(40)[None]
    write(folder, renamed)
    config = read_config(folder)
    config["linear_groups"] = config.pop("num_groups")
    config["radio"] = config.pop("head_ratio")
    write_config(folder, {**config, "model_type": "conv_bert"})


def as_hdf5(folder):
    """As `transformers` wrote TensorFlow's weights, when it still could."""
    import h5py

    arrays = read(folder)
    os.remove(os.path.join(folder, WEIGHTS))
    with h5py.File(os.path.join(folder, "tf_model.h5"), "w") as file:
        file.create_group("top_level_model_weights")
        for name, array in arrays.items():
            place = name.replace("encoder.layer.", "encoder.layer_._")
            if "depthwise" in name:
                place = place.replace("depthwise.weight", "depthwise_kernel")
                array = array.transpose(2, 0, 1)
            elif "pointwise" in name:
                place = place.replace("pointwise.weight", "pointwise_kernel")
                array = array.transpose(2, 1, 0)
            elif name.endswith("key_conv_attn_layer.bias"):
                array = array[:, 0]
            elif "LayerNorm" in name:
                place = place.replace("weight", "gamma")
                place = place.replace("bias", "beta")
            elif "word_embeddings" in name:
                pass
            elif "_embeddings" in name:
                place = place.replace("weight", "embeddings")
            elif name.endswith("weight"):
                place = place.replace("weight", "kernel")
                array = array.T
            place = place.replace(".", "/").replace("layer_/_", "layer_._")
            file[f"convbert/tf_conv_bert_model/convbert/{place}:0"] = array


def read(folder):
    from safetensors.numpy import load_file

    return load_file(os.path.join(folder, WEIGHTS))


def write(folder, arrays):
    from safetensors.numpy import save_file

    save_file(arrays, os.path.join(folder, WEIGHTS))


def read_config(folder):
    with open(os.path.join(folder, "config.json")) as file:
        return json.load(file)


def write_config(folder, config):
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)


@pytest.mark.parametrize(
    "rewrite", [as_torch, as_shards, as_first_release, as_hdf5]
)
@pytest.mark.parametrize("groups", [1, 2])
def test_every_form_holds_the_same(rewrite, groups, tmp_path):
    model = theirs.make(num_groups=groups)
    folder = theirs.save(model, tmp_path)
    wanted = ConvBertBackbone.from_preset(folder).weights
    rewrite(folder)
    found = ConvBertBackbone.from_preset(folder).weights
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))


@pytest.mark.once
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a.pop("encoder.layer.1.output.dense.bias"), "Missing"),
        (lambda a: a.update({"encoder.extra": np.ones(2)}), "Unknown"),
        (
            lambda a: a.update(
                {"embeddings_project.bias": np.ones(7, "float32")}
            ),
            "another shape",
        ),
        (
            lambda a: a.update(
                {
                    "encoder.layer.0.attention.self.query.bias": np.ones(
                        7, "float32"
                    )
                }
            ),
            "Expected 2 query heads",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(spoil, message, tmp_path):
    folder = theirs.save(theirs.make(), tmp_path)
    arrays = read(folder)
    spoil(arrays)
    write(folder, arrays)
    with pytest.raises(CheckpointError, match=message):
        ConvBertBackbone.from_preset(folder)


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "electra"}, "model_type='electra'"),
        ({"hidden_act": "gelu_new"}, "hidden_act='gelu_new'"),
        ({"is_decoder": True}, "is_decoder=True"),
    ],
)
def test_configs_that_cannot_be_are_refused(changes, message, tmp_path):
    folder = theirs.save(theirs.make(), tmp_path)
    write_config(folder, {**read_config(folder), **changes})
    with pytest.raises(ValueError, match=message):
        ConvBertBackbone.from_preset(folder)


@pytest.mark.once
def test_untied_output_of_a_masked_lm_is_refused(tmp_path):
    folder = theirs.save(theirs.make("ForMaskedLM"), tmp_path, True)
    arrays = read(folder)
    embeddings = arrays["convbert.embeddings.word_embeddings.weight"]
    write(folder, {**arrays, "generator_lm_head.weight": embeddings})
    ConvBertMaskedLM.from_preset(folder)
    write(folder, {**arrays, "generator_lm_head.weight": embeddings + 1})
    with pytest.raises(CheckpointError, match="word embeddings"):
        ConvBertMaskedLM.from_preset(folder)


@pytest.mark.once
def test_shards_outside_the_folder_are_refused(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path / "model")
    as_shards(folder)
    outside = tmp_path / "outside.safetensors"
    shutil.copy(
        os.path.join(folder, "model-00001-of-00002.safetensors"), outside
    )
    index = os.path.join(folder, f"{WEIGHTS}.index.json")
    with open(index) as file:
        content = file.read()
    with open(index, "w") as file:
        file.write(
            content.replace(
                "model-00001-of-00002.safetensors", "../outside.safetensors"
            )
        )
    with pytest.raises(CheckpointError, match="names a file elsewhere"):
        ConvBertBackbone.from_preset(folder)


@pytest.mark.once
def test_tokenizer_is_theirs(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path, tokenizer=True)
    assert ConvBertTokenizer.from_preset(folder)(["a B"]) == [
        texts.tokenizer()(["a B"])[0]
    ]
    with open(tmp_path / "vocab.txt", "w", newline="") as file:
        file.write("".join(f"{token}\r\n" for token in texts.VOCABULARY))
    with pytest.warns(UserWarning, match="CRLF"):
        found = ConvBertTokenizer.from_preset(folder)
    assert found.get_vocabulary() == texts.VOCABULARY


@pytest.mark.once
def test_a_whole_vocabulary_takes_the_place_of_a_damaged_one(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path)
    garbled = [
        character.encode().decode("gb18030", errors="replace")
        for character in "äöüßéèêëñçàâîôûìòù"
    ]
    lines = dict.fromkeys([*texts.VOCABULARY, *garbled])
    (tmp_path / "vocab.txt").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match="vocabulary="):
        ConvBertTextClassifier.from_preset(folder, num_classes=2)
    with pytest.warns(UserWarning, match="is new"):
        task = ConvBertTextClassifier.from_preset(
            folder, num_classes=2, vocabulary=texts.VOCABULARY
        )
    tokenizer = task.preprocessor.tokenizer
    assert tokenizer.get_vocabulary() == texts.VOCABULARY


@pytest.mark.once
def test_a_handle_is_read_from_the_cache_of_the_hub(tmp_path, monkeypatch):
    import huggingface_hub
    from huggingface_hub import constants

    model = theirs.make()
    cache = tmp_path / "hub"
    repository = cache / "models--user--small"
    theirs.save(model, repository / "snapshots" / "abc", tokenizer=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    download = huggingface_hub.hf_hub_download
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        lambda **k: download(**k, local_files_only=True, cache_dir=cache),
    )
    backbone = ConvBertBackbone.from_preset("hf://user/small")
    arrays = theirs.inputs()
    np.testing.assert_allclose(
        to_numpy(backbone(arrays)["sequence_output"]),
        theirs.call(model, arrays),
        **NEAR,
    )
    tokenizer = ConvBertTokenizer.from_preset("hf://user/small")
    assert tokenizer.get_vocabulary() == texts.VOCABULARY
    preprocessor = ConvBertTextClassifierPreprocessor.from_preset(
        "hf://user/small"
    )
    assert preprocessor.sequence_length == 40


@pytest.mark.once
@pytest.mark.parametrize(
    "kind",
    [
        ConvBertMaskedLMPreprocessor,
        ConvBertPretrainerPreprocessor,
        ConvBertTextClassifierPreprocessor,
    ],
)
def test_preprocessors_open_theirs(kind, tmp_path):
    folder = theirs.save(theirs.make(), tmp_path, tokenizer=True)
    found = kind.from_preset(folder)
    assert found.tokenizer.get_vocabulary() == texts.VOCABULARY
    assert found.sequence_length == 40
    assert kind.from_preset(folder, sequence_length=8).sequence_length == 8
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match="vocab"):
        kind.from_preset(folder)
    found = kind.from_preset(folder, vocabulary=texts.VOCABULARY)
    assert found.tokenizer.get_vocabulary() == texts.VOCABULARY


@pytest.mark.once
def test_tokenizers_alone_go_both_ways(tmp_path):
    import transformers

    texts.tokenizer().export_to_transformers(tmp_path / "ours")
    vocabulary = {token: i for i, token in enumerate(texts.VOCABULARY)}
    tokenizer = transformers.ConvBertTokenizer(vocab=vocabulary)
    tokenizer.save_pretrained(tmp_path / "theirs")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "vocab.txt").write_text("\n".join(texts.VOCABULARY))
    for folder in ("ours", "theirs", "list"):
        found = ConvBertTokenizer.from_preset(tmp_path / folder)
        assert found.get_vocabulary() == texts.VOCABULARY
        preprocessor = ConvBertMaskedLMPreprocessor.from_preset(
            tmp_path / folder
        )
        assert preprocessor.tokenizer.get_vocabulary() == texts.VOCABULARY


@pytest.mark.once
def test_a_pretrainer_opens_theirs(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path, tokenizer=True)
    with pytest.warns(UserWarning, match="generator, .* is new"):
        task = ConvBertPretrainer.from_preset(folder, generator_scale=0.5)
    wanted = ConvBertBackbone.from_preset(folder)
    for one, other in zip(task.backbone.weights, wanted.weights, strict=True):
        np.testing.assert_array_equal(to_numpy(one), to_numpy(other))
    assert task.preprocessor.tokenizer.get_vocabulary() == texts.VOCABULARY
