import keras
import numpy as np
import pytest

from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import run
from tests.layers.lifecycle import to_numpy
from tests.layers.weight_gradients import outputs_and_gradients
from tests.models.convbert import packing
from tests.models.convbert import tiny

SEQUENCES = packing.random_sequences([7, 1, 4, 11, 2], tiny.VOCABULARY_SIZE)
LONGEST = 11


def made(**options):
    options = {
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "num_layers": 2,
        "max_sequence_length": 48,
        "packed": True,
        **options,
    }
    backbone = tiny.backbone(**options)
    randomise(backbone, scale=0.2)
    return backbone


def outputs_of(backbone, inputs):
    return to_numpy(run(backbone, inputs)["sequence_output"])


def apart(row, gap):
    """The stretches of a row that hold `SEQUENCES`."""
    return [row[place] for place in packing.places(SEQUENCES, gap)]


@pytest.mark.parametrize(
    ("options", "gap", "length"),
    [
        ({"kernel_size": 9}, 4, 44),
        ({"kernel_size": 3, "num_groups": 2}, 2, 33),
        ({"conv": False}, 0, 25),
    ],
    ids=["kernel-9", "kernel-3-wider-gap", "attention-only"],
)
def test_packed_sequences_get_what_they_get_alone(options, gap, length):
    together = outputs_of(
        made(**options), packing.packed(SEQUENCES, gap, length)
    )
    # A backbone that does not pack is the other side.
    separate = outputs_of(
        made(**options, packed=False), packing.alone(SEQUENCES, LONGEST)
    )
    for one, other in zip(apart(together[0], gap), separate, strict=True):
        np.testing.assert_allclose(one, other[: len(one)], atol=1e-5)


def test_a_gap_too_narrow_would_tell():
    together = outputs_of(made(kernel_size=9), packing.packed(SEQUENCES, 3, 40))
    separate = outputs_of(
        made(kernel_size=9), packing.alone(SEQUENCES, LONGEST)
    )
    first = together[0, : len(SEQUENCES[0]["token_ids"])]
    assert np.abs(first - separate[0, : len(first)]).max() > 1e-3


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_ordinary_masks_mean_what_they_mean_without_packing(dtype):
    inputs = tiny.sequences(rows=3, length=16)
    inputs["padding_mask"][0] = 0
    wanted = outputs_of(made(packed=False), inputs)
    inputs["padding_mask"] = inputs["padding_mask"].astype(dtype)
    found = outputs_of(made(), inputs)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


class Scaled(keras.layers.Layer):
    """What a backbone gives for fixed inputs, times a number."""

    def __init__(self, backbone, inputs):
        super().__init__()
        self.backbone = backbone
        self.arrays = tuple(inputs.items())

    def call(self, scale):
        inputs = {
            name: keras.ops.convert_to_tensor(array)
            for name, array in self.arrays
        }
        outputs = self.backbone(inputs, training=True)
        return outputs["sequence_output"] * scale


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_the_sums_of_those_of_each_alone(checkpointing):
    gap, length = 4, 44
    rng = np.random.default_rng(0)
    together = rng.normal(size=(1, length, 32)).astype("float32")
    separate = np.zeros((len(SEQUENCES), LONGEST, 32), "float32")
    # No loss in the padding.
    mask = packing.packed(SEQUENCES, gap, length)["padding_mask"][0]
    together[0, mask == 0] = 0.0
    for row, part in zip(separate, apart(together[0], gap), strict=True):
        row[: len(part)] = part

    def gradients(inputs, upstream, **options):
        backbone = made(
            kernel_size=9, gradient_checkpointing=checkpointing, **options
        )
        layer = Scaled(backbone, inputs)
        layer.build((1, 1, 1))
        found = outputs_and_gradients(
            layer, np.ones((1, 1, 1), "float32"), upstream
        )[1]
        assert len(found) == 1 + len(backbone.trainable_weights)
        return found.values()

    found = gradients(packing.packed(SEQUENCES, gap, length), together)
    wanted = gradients(
        packing.alone(SEQUENCES, LONGEST), separate, packed=False
    )
    for one, other in zip(found, wanted, strict=True):
        assert np.isfinite(one).all()
        scale = max(1.0, np.abs(other).max())
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-5)


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    together = outputs_of(made(kernel_size=9), packing.packed(SEQUENCES, 4, 44))
    separate = outputs_of(
        made(kernel_size=9), packing.alone(SEQUENCES, LONGEST)
    )
    assert np.isfinite(together).all()
    for one, other in zip(apart(together[0], 4), separate, strict=True):
        np.testing.assert_allclose(
            one,
            other[: len(one)],
            atol=0.1,  # 8 bits of mantissa, of values about one
        )


def test_a_saved_backbone_packs_as_before(tmp_path):
    backbone = made()
    inputs = packing.packed(SEQUENCES, 1, 29)
    backbone.save(str(tmp_path / "backbone.keras"))
    again = keras.saving.load_model(str(tmp_path / "backbone.keras"))
    assert again.packed
    np.testing.assert_array_equal(
        outputs_of(again, inputs), outputs_of(backbone, inputs)
    )


def test_a_preset_opens_with_and_without_packing(tmp_path):
    backbone = made()
    backbone.save_to_preset(str(tmp_path / "preset"))
    inputs = tiny.sequences(rows=2, length=16)
    wanted = outputs_of(backbone, inputs)
    for packed in (True, False):
        again = type(backbone).from_preset(
            str(tmp_path / "preset"), packed=packed
        )
        assert again.packed == packed
        np.testing.assert_allclose(outputs_of(again, inputs), wanted, atol=1e-5)


def test_a_backbone_of_before_does_not_pack():
    config = made().get_config()
    del config["packed"]
    backbone = type(made()).from_config(config)
    assert not backbone.packed
    names = [layer.name for layer in backbone.layers]
    assert "packed_sequences" not in names


def test_convolutions_that_see_padding_are_refused():
    with pytest.raises(
        ValueError, match=r"`mask_conv=True`.*packed=True, mask_conv=False"
    ):
        made(mask_conv=False)
    assert made(mask_conv=False, conv=False).packed
