import keras
import numpy as np
import pytest

from keras_convbert.layers import ConvBertEncoderBlock
from tests.layers import formulas
from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import to_numpy
from tests.layers.weight_gradients import outputs_and_gradients

B, T, D = 2, 7, 8
MASK = np.arange(T) < np.array([[T], [T - 3]])


def built(**options):
    options = {
        "hidden_dim": D,
        "intermediate_dim": 12,
        "num_heads": 4,
        "kernel_size": 3,
        "kernel_initializer": "zeros",
        **options,
    }
    block = ConvBertEncoderBlock(**options)
    block.build((B, T, D))
    randomise(block)
    return block


def inputs_of(scale=1.0):
    rng = np.random.default_rng(0)
    return rng.normal(scale=scale, size=(B, T, D)).astype("float32")


@pytest.mark.parametrize(
    "options",
    [{}, {"num_groups": 2}, {"conv": False, "head_ratio": 1}],
    ids=["plain", "grouped", "attention only"],
)
def test_equals_the_formula(options):
    block = built(**options)
    found = block(inputs_of(), padding_mask=MASK)
    wanted = formulas.encoder_block(
        formulas.weights_of(block), inputs_of(), MASK, conv_mask=MASK
    )
    np.testing.assert_allclose(to_numpy(found), wanted, atol=5e-6)


def test_padding_changes_no_valid_position_unless_it_leaks():
    valid = slice(0, T - 3)
    for mask_conv in (True, False):
        block = built(mask_conv=mask_conv)
        padded = to_numpy(block(inputs_of(), padding_mask=MASK))[1, valid]
        alone = to_numpy(block(inputs_of()[1:, valid]))[0]
        difference = np.abs(padded - alone).max()
        assert difference < 5e-6 if mask_conv else difference > 1e-3


def test_scores_and_kernels_on_request():
    block = built()
    outputs, scores, kernels = block(inputs_of(), return_attention_scores=True)
    np.testing.assert_allclose(
        to_numpy(outputs), to_numpy(block(inputs_of())), atol=5e-6
    )
    _, wanted_scores, wanted_kernels = formulas.mixed_attention(
        formulas.part(formulas.weights_of(block), "mixed_attention"),
        inputs_of(),
    )
    np.testing.assert_allclose(to_numpy(scores), wanted_scores, atol=2e-6)
    np.testing.assert_allclose(to_numpy(kernels), wanted_kernels, atol=2e-6)


@pytest.mark.parametrize(
    ("num_heads", "head_ratio", "head_dim", "heads", "width"),
    [
        (4, 2, None, 2, 2),
        (4, 4, None, 1, 2),
        (4, 1, None, 4, 2),
        (1, 2, None, 1, 8),  # the generator of the small model
        (3, 2, 5, 1, 5),
    ],
)
def test_the_bottleneck(num_heads, head_ratio, head_dim, heads, width):
    attention = built(
        num_heads=num_heads, head_ratio=head_ratio, head_dim=head_dim
    ).mixed_attention
    assert (attention.num_heads, attention.head_dim) == (heads, width)
    kernel = attention.output_projection.kernel
    assert kernel.shape == (2 * heads, width, D)


# On torch, unseeded layers draw from the global generator.
SEEDS = [None, 7] if keras.backend.backend() == "torch" else [7]


@pytest.mark.parametrize("seed", SEEDS)
def test_checkpointing_changes_no_gradient(seed, monkeypatch):
    """With dropout: the recomputation draws the same noise."""
    wrapped = []

    def checkpointing(function):
        wrapped.append(function)
        return remat(function)

    remat = keras.remat
    found = []
    for stand_in in (checkpointing, lambda function: function):
        monkeypatch.setattr(keras, "remat", stand_in)
        keras.utils.set_random_seed(3)
        block = built(
            dropout=0.3,
            attention_dropout=0.3,
            seed=seed,
            gradient_checkpointing=True,
        )
        found.append(
            outputs_and_gradients(
                block,
                inputs_of(),
                inputs_of()[::-1].copy(),
                padding_mask=MASK,
                training=True,
            )
        )
    assert len(wrapped) == 1
    (outputs, gradients), (wanted, wanted_gradients) = found
    np.testing.assert_allclose(outputs, wanted, atol=1e-6)
    assert gradients.keys() == wanted_gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(
            gradient,
            wanted_gradients[name],
            atol=2e-5,  # sums over batch and length, in another order
            err_msg=name,
        )


def test_checkpointing_computes_what_the_plain_block_does():
    plain, checkpointed = (
        built(dropout=0.0, attention_dropout=0.0, gradient_checkpointing=switch)
        for switch in (False, True)
    )
    np.testing.assert_allclose(
        to_numpy(checkpointed(inputs_of(), padding_mask=MASK, training=True)),
        to_numpy(plain(inputs_of(), padding_mask=MASK, training=True)),
        atol=1e-6,
    )


def test_a_checkpointed_block_trains_under_xla():
    if keras.backend.backend() == "torch":
        pytest.skip("torch compiles for minutes")
    inputs = keras.Input((None, D))
    mask = keras.Input((None,), dtype="int32")
    block = ConvBertEncoderBlock(
        D, 12, num_heads=2, kernel_size=3, gradient_checkpointing=True
    )
    model = keras.Model([inputs, mask], block(inputs, padding_mask=mask))
    model.compile("sgd", "mse", jit_compile=True)
    before = [to_numpy(weight) for weight in block.trainable_weights]
    data = [inputs_of(), MASK.astype("int32")]
    model.fit(data, inputs_of()[:, ::-1], verbose=0)
    moved = [
        np.any(to_numpy(weight) != old)
        for weight, old in zip(block.trainable_weights, before, strict=True)
    ]
    assert sum(moved) >= len(moved) - 1  # the bias of the keys has no gradient


def test_layer_norm_statistics_are_of_float32():
    # The squares of these overflow float16.
    inputs = inputs_of(scale=500.0)
    block = ConvBertEncoderBlock(D, 12, 4, dtype="mixed_float16")
    found = to_numpy(block(inputs))
    wanted = formulas.encoder_block(
        formulas.weights_of(block), np.float64(inputs)
    )
    np.testing.assert_allclose(
        found,
        wanted,
        atol=5e-3,  # float16 has 11 bits of mantissa
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_dim": 0}, "`hidden_dim`.*Received: hidden_dim=0"),
        ({"num_heads": 3}, "Received: hidden_dim=8, num_heads=3"),
        ({"num_groups": 3}, "hidden_dim=8, intermediate_dim=12, num_groups=3"),
        ({"head_ratio": 0.5}, "`head_ratio`.*Received: head_ratio=0.5"),
        ({"head_dim": 0}, "`head_dim`.*Received: head_dim=0"),
        ({"kernel_size": 8}, "odd integer. Received: kernel_size=8"),
        ({"dropout": -0.1}, "at least 0.*Received: dropout=-0.1"),
        ({"attention_dropout": 1}, "Received: attention_dropout=1"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        built(**options)
