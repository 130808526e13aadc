import json
import re

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertBackbone
from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import run
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tiny

INPUTS = tiny.sequences(rows=3, length=16)


def made(**options):
    """A tiny backbone with weights that tell on the outputs."""
    options = {"dropout": 0.0, "attention_dropout": 0.0, **options}
    backbone = tiny.backbone(**options)
    randomise(backbone, scale=0.2)
    return backbone


def outputs_of(backbone, inputs=None):
    outputs = run(backbone, inputs or INPUTS)["sequence_output"]
    return to_numpy(outputs)


def reloaded(backbone, folder):
    path = str(folder / "backbone.keras")
    backbone.save(path)
    return keras.saving.load_model(path)


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("convbert_small", 13_143_768),
        ("convbert_medium_small", 17_475_888),
        ("convbert_base", 105_680_520),
    ],
)
def test_the_sizes_of_the_paper(name, parameters):
    # In this scope variables have shapes and no values.
    with keras.StatelessScope():
        backbone = ConvBertBackbone.from_preset(name, load_weights=False)
        assert backbone.count_params() == parameters
        keras.backend.clear_session()  # forgets that they want values


def test_config_survives_json():
    backbone = tiny.backbone(
        head_ratio=4,
        num_groups=2,
        head_dim=4,
        conv=False,
        mask_conv=False,
        activation="relu",
        num_segments=3,
        layer_norm_epsilon=1e-6,
        gradient_checkpointing=True,
        dtype="mixed_bfloat16",
        name="mine",
        trainable=False,
    )
    config = backbone.get_config()
    saved = json.dumps(keras.saving.serialize_keras_object(backbone))
    again = keras.saving.deserialize_keras_object(json.loads(saved))
    assert type(again) is ConvBertBackbone
    assert again.get_config() == config
    assert (again.name, again.trainable) == ("mine", False)
    assert all(
        layer.gradient_checkpointing for layer in again.transformer_layers
    )


def test_a_saved_backbone_loads_into_equal_outputs(tmp_path):
    backbone = made(num_layers=2, num_groups=2)
    again = reloaded(backbone, tmp_path)
    np.testing.assert_array_equal(outputs_of(again), outputs_of(backbone))


def test_a_preset_loads_into_equal_outputs(tmp_path):
    backbone = made()
    backbone.save_to_preset(str(tmp_path / "preset"))
    again = ConvBertBackbone.from_preset(str(tmp_path / "preset"))
    np.testing.assert_array_equal(outputs_of(again), outputs_of(backbone))


def test_a_named_size_takes_other_arguments():
    backbone = ConvBertBackbone.from_preset(
        "convbert_small",
        load_weights=False,
        vocabulary_size=50,
        num_layers=1,
        max_sequence_length=20,
    )
    assert backbone.hidden_dim == 256
    assert backbone.num_layers == 1
    assert backbone.token_embedding.embeddings.shape == (50, 128)


def test_a_named_size_has_no_weights():
    with pytest.raises(ValueError, match="an architecture, without weights"):
        ConvBertBackbone.from_preset("convbert_base")


def test_any_length_up_to_the_longest():
    backbone = tiny.backbone()
    inputs = tiny.sequences(rows=2, length=32)
    for length in (1, 2, 32):
        shorter = {name: array[:, :length] for name, array in inputs.items()}
        outputs = backbone.predict(shorter, verbose=0)
        sequence, pooled = outputs["sequence_output"], outputs["pooled_output"]
        assert sequence.shape == (2, length, 32)
        np.testing.assert_array_equal(pooled, sequence[:, 0])


def test_longer_inputs_are_refused():
    inputs = tiny.sequences(rows=2, length=33)
    with pytest.raises(
        ValueError, match=r"`max_sequence_length=32`.*\(2, 33\)"
    ):
        tiny.backbone()(inputs)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision(dtype):
    backbone = made(dtype=f"mixed_{dtype}")
    for layer in backbone._flatten_layers(include_self=False):
        if not isinstance(layer, keras.layers.InputLayer):
            assert layer.dtype_policy.name == f"mixed_{dtype}", layer.name
    nothing = np.zeros_like(INPUTS["padding_mask"])
    inputs = {**INPUTS, "padding_mask": nothing}
    outputs = run(backbone, inputs)["sequence_output"]
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype
    assert np.isfinite(to_numpy(outputs)).all()


@pytest.mark.parametrize(
    "places",
    [
        ".*layer_norm",
        ".*/query",
        ".*/span_conv/value",
        ".*/mixed_attention",
        "transformer_layer_0(/.*)?",
    ],
)
def test_parts_may_have_a_precision_of_their_own(places):
    policies = keras.dtype_policies.DTypePolicyMap("mixed_bfloat16")
    policies[places] = keras.dtype_policies.DTypePolicy("float32")
    backbone = made(num_layers=2, dtype=policies)
    exact = [
        layer.path
        for layer in backbone._flatten_layers(include_self=False)
        if layer.weights and layer.compute_dtype == "float32"
    ]
    paths = {
        layer.path for layer in backbone._flatten_layers() if layer.weights
    }
    assert set(exact) == {p for p in paths if p and re.fullmatch(places, p)}
    np.testing.assert_allclose(
        outputs_of(backbone),
        outputs_of(made(num_layers=2)),
        atol=0.1,  # bfloat16 has 8 bits of mantissa, over two layers
    )


def test_int8_survives_two_reloads(tmp_path):
    backbone = made(num_groups=2, dtype="mixed_bfloat16")
    exact = outputs_of(backbone)
    backbone.quantize("int8")
    quantized = outputs_of(backbone)
    error = np.abs(quantized - exact).mean() / np.abs(exact).mean()
    assert 0 < error < 0.05  # weights and inputs have 8 bits
    again = reloaded(reloaded(backbone, tmp_path), tmp_path)
    assert again.get_config() == backbone.get_config()
    np.testing.assert_array_equal(outputs_of(again), quantized)


def test_lora_survives_a_reload(tmp_path):
    backbone = made()
    backbone.enable_lora(2)
    added = [w.path for w in backbone.trainable_weights if "lora" in w.path]
    assert len(added) == 6  # queries, and the values of both branches
    randomise(backbone, scale=0.2)
    np.testing.assert_allclose(
        outputs_of(reloaded(backbone, tmp_path)),
        outputs_of(backbone),
        atol=5e-6,
    )


@pytest.mark.parametrize(
    "options", [{"dropout": 0.5}, {"attention_dropout": 0.5}]
)
def test_dropout_acts_in_training_alone(options):
    backbone = made(**options)
    outer = keras.Model(backbone.input, backbone(backbone.input))
    for model in (backbone, outer):
        trained, again, used, wanted = (
            to_numpy(model(INPUTS, training=training)["sequence_output"])
            for training in (True, True, False, None)
        )
        assert np.abs(trained - again).max() > 0.01
        assert np.abs(trained - used).max() > 0.01
        np.testing.assert_array_equal(used, wanted)


def test_outputs_of_each_layer_are_at_hand():
    backbone = made(num_layers=2)
    names = [
        "embeddings_layer_norm",
        "transformer_layer_0",
        "transformer_layer_1",
    ]
    probe = keras.Model(
        backbone.inputs, [backbone.get_layer(name).output for name in names]
    )
    norm, first, last = run(probe, INPUTS)
    assert norm.shape == (3, 16, 16)
    assert first.shape == (3, 16, 32)
    np.testing.assert_allclose(to_numpy(last), outputs_of(backbone), atol=1e-6)


def effect_of_padding(**options):
    """The largest change of a token by sixteen more positions of padding."""
    backbone = made(kernel_size=9, **options)
    longer = {k: np.pad(v, ((0, 0), (0, 16))) for k, v in INPUTS.items()}
    short, long = (
        to_numpy(backbone(inputs)["sequence_output"])
        for inputs in (INPUTS, longer)
    )
    return np.abs(long[:, :16] - short)[INPUTS["padding_mask"] == 1].max()


def test_twelve_layers_keep_padding_out():
    assert effect_of_padding(num_layers=12) < 1e-5


def test_the_authors_let_padding_in():
    assert effect_of_padding(num_layers=2, mask_conv=False) > 1e-2


def test_embeddings_can_be_those_of_another():
    first = tiny.backbone()
    second = tiny.backbone(num_layers=2, shared_embeddings=first)
    assert second.token_embedding is first.token_embedding
    assert second.embeddings_layer_norm is first.embeddings_layer_norm
    shared = {id(w) for w in first.weights} & {id(w) for w in second.weights}
    assert len(shared) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary_size": 0}, "`vocabulary_size`.*vocabulary_size=0"),
        ({"num_layers": 1.0}, "`num_layers`.*Received: num_layers=1.0"),
        ({"embedding_dim": 0}, "`embedding_dim`.*Received: embedding_dim=0"),
        ({"num_heads": 5}, "Received: hidden_dim=32, num_heads=5"),
        ({"num_groups": 3}, "num_groups=3"),
        ({"kernel_size": 4}, "odd integer. Received: kernel_size=4"),
        ({"dropout": 1.5}, "Received: dropout=1.5"),
    ],
    ids=str,
)
def test_wrong_sizes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny.backbone(**options)
