"""Checkpoints of the authors' code, against what that code computed."""

import json
import logging

import keras
import numpy as np
import pytest

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models import ConvBertBackbone
from tests import golden
from tests.checkpoints import tf1_files
from tests.layers.lifecycle import to_numpy

CASES = ["plain", "grouped_bottleneck", "attention_only", "head_ratio_4"]


def config_of(case):
    """The authors' arguments, as one dict."""
    path = golden.FOLDER / "convbert_tf1" / case / "config.json"
    made = json.loads(path.read_text(encoding="utf-8"))
    return {**made["config"], "embedding_size": made["embedding_size"]}


def arrays_of(case):
    path = golden.FOLDER / "convbert_tf1" / case / "golden.npz"
    with np.load(path) as file:
        arrays = dict(file)
    names = ("token_ids", "segment_ids", "padding_mask")
    return {name: arrays[name] for name in names}, arrays


def load(case, **options):
    prefix = tf1_files.prefix_of(case)
    return ConvBertBackbone.from_tf1_checkpoint(
        prefix, config_of(case), **options
    )


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_authors(case):
    inputs, wanted = arrays_of(case)
    outputs = load(case)(inputs)
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(
            to_numpy(outputs[name]), wanted[name], atol=5e-6, rtol=0
        )


@pytest.mark.parametrize("case", CASES)
def test_each_layer_and_its_attention_are_those_of_the_authors(case):
    inputs, wanted = arrays_of(case)
    backbone = load(case)
    first = backbone.transformer_layers[0]
    embed = keras.Model(backbone.inputs, first.input[0])
    x = embed(inputs)
    near = {"atol": 5e-6, "rtol": 0}
    np.testing.assert_allclose(to_numpy(x), wanted["embedding_output"], **near)
    for layer, output, attention in zip(
        backbone.transformer_layers,
        wanted["all_layers"],
        wanted["attention"],
        strict=True,
    ):
        x, scores, _ = layer(
            x,
            padding_mask=inputs["padding_mask"],
            return_attention_scores=True,
        )
        np.testing.assert_allclose(to_numpy(x), output, **near)
        np.testing.assert_allclose(to_numpy(scores), attention, **near)


@pytest.mark.once
@pytest.mark.parametrize("case", CASES)
def test_the_leak_matters(case):
    """With it these numbers come out, and without convolution there is none."""
    inputs, wanted = arrays_of(case)
    outputs = load(case, mask_conv=True)(inputs)["sequence_output"]
    difference = np.abs(to_numpy(outputs) - wanted["sequence_output"])
    padded = difference[1:][inputs["padding_mask"][1:] == 1].max()
    assert difference[0].max() < 5e-6
    assert padded < 5e-6 if case == "attention_only" else padded > 1e-3


@pytest.mark.once
@pytest.mark.parametrize("case", [c for c in CASES if c != "attention_only"])
def test_sizes_are_read_from_shapes(case):
    prefix = tf1_files.prefix_of(case)
    read = ConvBertBackbone.from_tf1_checkpoint(prefix, name="same")
    assert read.get_config() == load(case, name="same").get_config()


@pytest.mark.once
def test_heads_without_convolution_cannot_be_read():
    with pytest.raises(ValueError, match='hold "num_attention_heads"'):
        ConvBertBackbone.from_tf1_checkpoint(
            tf1_files.prefix_of("attention_only")
        )


@pytest.mark.once
def test_config_may_be_a_file_and_arguments_replace_it(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"num_attention_heads": 4}))
    backbone = ConvBertBackbone.from_tf1_checkpoint(
        tf1_files.prefix_of("attention_only"),
        path,
        dropout=0.0,
        mask_conv=True,
        dtype="bfloat16",
    )
    assert (backbone.num_heads, backbone.head_ratio) == (4, 1)
    assert not backbone.conv
    assert backbone.dropout == 0.0
    assert backbone.mask_conv
    assert backbone.dtype_policy.name == "bfloat16"
    nested = golden.FOLDER / "convbert_tf1/attention_only/config.json"
    again = ConvBertBackbone.from_tf1_checkpoint(
        tf1_files.prefix_of("attention_only"), str(nested), name="same"
    )
    flat = load("attention_only", name="same")
    assert again.get_config() == flat.get_config()


@pytest.mark.once
def test_a_config_that_is_no_dict_is_refused(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("[4]")
    with pytest.raises(ValueError, match=r"config.json.* to hold a dict"):
        ConvBertBackbone.from_tf1_checkpoint(tf1_files.prefix_of("plain"), path)


@pytest.mark.once
def test_a_head_width_that_does_not_divide(tmp_path):
    """Two heads of 12 features in a layer of 16: no whole number before."""
    arrays = {
        "electra/" + name: np.random.default_rng(i).normal(size=shape)
        for i, (name, shape) in enumerate(one_layer(16, 24, 2, 32).items())
    }
    prefix = tf1_files.write(tmp_path / "model.ckpt", arrays)
    backbone = ConvBertBackbone.from_tf1_checkpoint(prefix)
    assert backbone.num_heads // backbone.head_ratio == 2
    assert backbone.head_dim == 12
    assert backbone.count_params() == sum(a.size for a in arrays.values())


def one_layer(hidden, all_heads, heads, intermediate, kernel=9):
    """Shapes of an encoder of one layer, under the authors' names."""
    attention = {
        f"attention/self/{name}/{part}": shape
        for name in ("query", "key", "value", "conv_attn_point")
        for part, shape in {
            "kernel": (hidden, all_heads),
            "bias": (all_heads,),
        }.items()
    }
    layer = {
        **attention,
        "attention/self/conv_attn_key/depthwise_kernel": (kernel, hidden, 1),
        "attention/self/conv_attn_key/pointwise_kernel": (
            1,
            hidden,
            all_heads,
        ),
        "attention/self/conv_attn_key/bias": (all_heads,),
        "attention/self/conv_attn_kernel/kernel": (all_heads, heads * kernel),
        "attention/self/conv_attn_kernel/bias": (heads * kernel,),
        "attention/output/dense/kernel": (2 * all_heads, hidden),
        "attention/output/dense/bias": (hidden,),
        "attention/output/LayerNorm/gamma": (hidden,),
        "attention/output/LayerNorm/beta": (hidden,),
        "intermediate/dense/kernel": (hidden, intermediate),
        "intermediate/dense/bias": (intermediate,),
        "output/dense/kernel": (intermediate, hidden),
        "output/dense/bias": (hidden,),
        "output/LayerNorm/gamma": (hidden,),
        "output/LayerNorm/beta": (hidden,),
    }
    return {
        "embeddings/word_embeddings": (20, hidden),
        "embeddings/position_embeddings": (30, hidden),
        "embeddings/token_type_embeddings": (2, hidden),
        "embeddings/LayerNorm/gamma": (hidden,),
        "embeddings/LayerNorm/beta": (hidden,),
        **{f"encoder/layer_0/{name}": shape for name, shape in layer.items()},
    }


OTHERS = {
    "generator/encoder/layer_0/attention/self/query/kernel": (4, 4),
    "generator_predictions/output_bias": (120,),
    "discriminator_predictions/dense_1/kernel": (64, 1),
    "electra/embeddings/word_embeddings/adam_m": (120, 64),
    "electra/embeddings/word_embeddings/adam_v": (120, 64),
    "task_specific/sst/dense/kernel": (64, 2),
    "global_step": (),
}


@pytest.mark.once
def test_other_parts_are_listed_and_left(tmp_path, caplog):
    arrays = tf1_files.read("plain")
    arrays.update({k: np.zeros(s, "float32") for k, s in OTHERS.items()})
    prefix = tf1_files.write(tmp_path / "model.ckpt", arrays)
    with caplog.at_level(logging.INFO, logger="keras_convbert"):
        backbone = ConvBertBackbone.from_tf1_checkpoint(prefix)
    assert all(name in caplog.text for name in OTHERS)
    inputs, wanted = arrays_of("plain")
    np.testing.assert_allclose(
        to_numpy(backbone(inputs)["sequence_output"]),
        wanted["sequence_output"],
        atol=5e-6,
        rtol=0,
    )


LAYER_1 = "electra/encoder/layer_1/"


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {f"{LAYER_1}output/dense/bias": None},
            r"Missing:\n  electra/encoder/layer_1/output/dense/bias \(64,\)$",
        ),
        (
            {f"{LAYER_1}output/dense/kernel": (64, 256)},
            r"output/dense/kernel \(64, 256\) instead of \(256, 64\)$",
        ),
        (
            {"electra/pooler/kernel": (64, 64)},
            r"Unknown:\n  electra/pooler/kernel \(64, 64\)$",
        ),
        (
            {"electra/encoder/layer_3/output/dense/bias": (64,)},
            r"(?s)Missing:\n  electra/encoder/layer_2.*layer_3/output/dense/k",
        ),
        (
            {"electra/embeddings/word_embeddings": (120,)},
            r"ConvBERT encoder.*word_embeddings' of at least 2 axes.*\(120,\)",
        ),
        (
            {"electra/embeddings/word_embeddings": None},
            "Expected a ConvBERT encoder with an array 'electra/embeddings",
        ),
    ],
    ids=[
        "missing",
        "transposed",
        "unknown",
        "a layer apart",
        "no table",
        "no embeddings",
    ],
)
def test_what_does_not_fit_is_named(changes, message, tmp_path):
    arrays = tf1_files.read("plain")
    for name, shape in changes.items():
        arrays.pop(name, None)
        if shape is not None:
            arrays[name] = np.zeros(shape, "float32")
    prefix = tf1_files.write(tmp_path / "model.ckpt", arrays)
    with pytest.raises(CheckpointError, match=message):
        ConvBertBackbone.from_tf1_checkpoint(prefix)


@pytest.mark.once
@pytest.mark.parametrize("case", ["plain", "head_ratio_4"])
def test_the_ratio_of_the_bottleneck_is_read_if_not_given(case):
    config = config_of(case)
    ratio = config.pop("head_ratio")
    backbone = ConvBertBackbone.from_tf1_checkpoint(
        tf1_files.prefix_of(case), config
    )
    assert backbone.head_ratio == ratio


@pytest.mark.once
@pytest.mark.parametrize("heads", [0, "4"])
def test_heads_that_are_no_number_are_refused(heads):
    with pytest.raises(ValueError, match=f"num_attention_heads={heads!r}$"):
        ConvBertBackbone.from_tf1_checkpoint(
            tf1_files.prefix_of("plain"), {"num_attention_heads": heads}
        )


@pytest.mark.once
def test_a_config_of_another_model_is_refused():
    config = {**config_of("plain"), "num_hidden_layers": 3}
    with pytest.raises(CheckpointError, match="Missing:\n  electra/encoder/l"):
        ConvBertBackbone.from_tf1_checkpoint(
            tf1_files.prefix_of("plain"), config
        )
