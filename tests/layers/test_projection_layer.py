import keras
import numpy as np
import pytest

from keras_convbert.layers import MixedAttention
from tests.layers.lifecycle import randomise
from tests.layers.lifecycle import to_numpy

INPUTS = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")


def built():
    layer = MixedAttention(num_heads=2, head_dim=3, kernel_size=3)
    layer.build(INPUTS.shape)
    randomise(layer)
    return layer


def test_a_projection_whose_call_was_replaced_is_called():
    # Keras does so to calibrate a quantization.
    layer = built()
    seen = []
    call = layer.query.call

    def watched(inputs, **kwargs):
        seen.append(inputs.shape)
        return call(inputs, **kwargs)

    wanted = to_numpy(layer(INPUTS))
    layer.query.call = watched
    found = to_numpy(layer(INPUTS))
    assert [tuple(shape) for shape in seen] == [INPUTS.shape]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="only PyTorch has hooks"
)
@pytest.mark.parametrize("before", [True, False])
def test_hooks_of_a_projection_see_it(before):
    layer = built()
    seen = []
    register = (
        layer.value.register_forward_pre_hook
        if before
        else layer.value.register_forward_hook
    )
    register(lambda module, inputs, *outputs: seen.append(module))
    layer(INPUTS)
    assert seen == [layer.value]


def test_a_low_rank_update_changes_the_outputs():
    layer = built()
    before = to_numpy(layer(INPUTS))
    layer.enable_lora(2)
    output = layer.output_projection
    output.lora_kernel_a.assign(np.ones(output.lora_kernel_a.shape))
    output.lora_kernel_b.assign(np.ones(output.lora_kernel_b.shape))
    assert np.abs(to_numpy(layer(INPUTS)) - before).max() > 1e-2
