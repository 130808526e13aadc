"""Files of int8 models with LoRA equal the models."""

import warnings

import keras
import numpy as np
import pytest

from keras_convbert.compat import flatten_layers
from tests.models.convbert import tasks
from tests.models.convbert import texts

X = texts.letters(3)
ROUNDED = "rounded a second time"
# Models are made, quantized and saved many times.
pytestmark = pytest.mark.one_backend("torch")


def with_lora(task, names=None):
    """Enables LoRA with updates that matter."""
    task.backbone.enable_lora(2, names)
    rng = np.random.default_rng(0)
    layers = [
        layer
        for layer in flatten_layers(task.backbone)
        if getattr(layer, "lora_enabled", False)
    ]
    assert layers
    for layer in layers:
        kernel = hasattr(layer, "lora_kernel_b")
        update = layer.lora_kernel_b if kernel else layer.lora_embeddings_b
        update.assign(rng.normal(size=update.shape))
    return task


def quantized(task):
    with warnings.catch_warnings():
        # Layers without weights cannot be quantized.
        warnings.filterwarnings("ignore", "Layer .* does not have a `quantize`")
        task.quantize("int8")
    return task


def outputs(task):
    return keras.ops.convert_to_numpy(task(tasks.inputs(task, X)))


def reloaded(task, tmp_path):
    task.save(tmp_path / "task.keras")
    yield keras.saving.load_model(tmp_path / "task.keras")
    task.save_to_preset(tmp_path / "preset")
    yield type(task).from_preset(tmp_path / "preset")


@pytest.mark.parametrize(
    "make",
    [
        lambda: quantized(tasks.classifier()),
        lambda: with_lora(tasks.classifier()),
        lambda: quantized(with_lora(tasks.classifier())),
        lambda: quantized(
            with_lora(tasks.classifier(), ["query", "token_embedding"])
        ),
    ],
    ids=["int8", "lora", "int8 after lora", "with embeddings"],
)
def test_a_file_equals_the_model(make, tmp_path):
    task = make()
    wanted = outputs(task)
    for loaded in reloaded(task, tmp_path):
        np.testing.assert_allclose(outputs(loaded), wanted, atol=1e-5)


def test_quantization_keeps_the_updates_of_lora():
    task = with_lora(tasks.classifier())
    wanted = outputs(task)
    before = [np.array(weight) for weight in task.get_weights()]
    with pytest.raises(ValueError, match="int9"):
        task.quantize("int9")
    for found, value in zip(task.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, value)
    found = outputs(quantized(task))
    np.testing.assert_allclose(found, wanted, atol=0.1)  # int8 rounds


def test_lora_after_int8_is_said_to_be_rounded(tmp_path):
    task = quantized(tasks.classifier())
    task.save(tmp_path / "base.keras")
    wanted = outputs(with_lora(task))
    with pytest.warns(UserWarning, match=ROUNDED):
        task.save(tmp_path / "task.keras")
    with pytest.warns(UserWarning, match=ROUNDED):
        task.save_to_preset(tmp_path / "preset")
    # The updates alone are kept as they are.
    task.backbone.save_lora_weights(tmp_path / "task.lora.h5")
    loaded = keras.saving.load_model(tmp_path / "base.keras")
    assert np.abs(outputs(loaded) - wanted).max() > 1e-3
    loaded.backbone.load_lora_weights(tmp_path / "task.lora.h5")
    np.testing.assert_allclose(outputs(loaded), wanted, atol=1e-5)
