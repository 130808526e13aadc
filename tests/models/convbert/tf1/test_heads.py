"""Generator and heads of checkpoints as the authors' code writes them.

The arrays are random; names and shapes are those of the reference, written out
here.
"""

import numpy as np
import pytest

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertTextClassifier
from tests.checkpoints import tf1_files
from tests.layers.lifecycle import to_numpy
from tests.models.convbert.tf1.test_loading import one_layer
from tests.models.convbert.transformers.transformers_models import inputs

HIDDEN, SMALL, EMBEDDING = 32, 16, 8
IDS = {"mask_token_id": 4, "special_token_ids": [0, 2, 3, 4]}
HEADS = {
    "generator_predictions/dense/kernel": (SMALL, EMBEDDING),
    "generator_predictions/dense/bias": (EMBEDDING,),
    "generator_predictions/LayerNorm/gamma": (EMBEDDING,),
    "generator_predictions/LayerNorm/beta": (EMBEDDING,),
    "generator_predictions/output_bias": (20,),
    "discriminator_predictions/dense/kernel": (HIDDEN, HIDDEN),
    "discriminator_predictions/dense/bias": (HIDDEN,),
    "discriminator_predictions/dense_1/kernel": (HIDDEN, 1),
    "discriminator_predictions/dense_1/bias": (1,),
}
FINE_TUNED = {
    "task_specific/mnli/dense/kernel": (HIDDEN, 3),
    "task_specific/mnli/dense/bias": (3,),
}


def encoder(body, hidden, heads):
    """Arrays of one layer, with the projection of its embeddings."""
    shapes = one_layer(hidden, hidden // 2, heads, 4 * hidden, kernel=3)
    return {
        f"{body}embeddings_project/kernel": (EMBEDDING, hidden),
        f"{body}embeddings_project/bias": (hidden,),
        **{
            f"{body}{name}": shape
            for name, shape in shapes.items()
            if name.startswith("encoder/")
        },
    }


def checkpoint(folder, *parts):
    shapes = {
        "electra/embeddings/word_embeddings": (20, EMBEDDING),
        "electra/embeddings/position_embeddings": (30, EMBEDDING),
        "electra/embeddings/token_type_embeddings": (2, EMBEDDING),
        "electra/embeddings/LayerNorm/gamma": (EMBEDDING,),
        "electra/embeddings/LayerNorm/beta": (EMBEDDING,),
        **encoder("electra/", HIDDEN, 2),
        "electra/embeddings/word_embeddings/adam_m": (20, EMBEDDING),
        "global_step": (),
    }
    for part in parts:
        shapes.update(part)
    arrays = {
        name: np.random.default_rng(i).normal(0, 0.05, shape).astype("float32")
        for i, (name, shape) in enumerate(shapes.items())
    }
    return tf1_files.write(folder / "model.ckpt", arrays), arrays


@pytest.fixture(scope="module")
def pretraining(tmp_path_factory):
    generator = encoder("generator/", SMALL, 1)
    return checkpoint(tmp_path_factory.mktemp("tf1"), generator, HEADS)


def values(model):
    return {weight.path: to_numpy(weight) for weight in model.weights}


def test_pretraining_goes_on(pretraining):
    prefix, arrays = pretraining
    task = ConvBertPretrainer.from_tf1_checkpoint(prefix, **IDS)
    found = values(task)
    number = sum(array.size for array in arrays.values())
    adam = arrays["electra/embeddings/word_embeddings/adam_m"].size
    assert sum(value.size for value in found.values()) == number - adam - 1
    for path, name in {
        "rtd_dense/kernel": "discriminator_predictions/dense/kernel",
        "rtd_logits/bias": "discriminator_predictions/dense_1/bias",
        "mlm_head/dense/kernel": "generator_predictions/dense/kernel",
        "mlm_head/layer_norm/beta": "generator_predictions/LayerNorm/beta",
        "mlm_head/output_bias": "generator_predictions/output_bias",
        "token_embedding/embeddings": "electra/embeddings/word_embeddings",
        "embeddings_projection/bias": "electra/embeddings_project/bias",
        "generator/embeddings_projection/kernel": (
            "generator/embeddings_project/kernel"
        ),
        "generator/transformer_layer_0/output_dense/kernel": (
            "generator/encoder/layer_0/output/dense/kernel"
        ),
        "transformer_layer_0/output_dense/kernel": (
            "electra/encoder/layer_0/output/dense/kernel"
        ),
    }.items():
        np.testing.assert_array_equal(found[path], arrays[name])
    batch = {k: v % 20 for k, v in inputs().items()}
    history = task.fit(batch, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_the_generator_is_a_masked_lm(pretraining):
    prefix, arrays = pretraining
    task = ConvBertMaskedLM.from_tf1_checkpoint(
        prefix, {"num_attention_heads": 4, "hidden_size": HIDDEN}
    )
    whole = ConvBertPretrainer.from_tf1_checkpoint(prefix, **IDS)
    assert task.backbone.hidden_dim == SMALL
    batch = {k: v % 20 for k, v in inputs().items()}
    np.testing.assert_allclose(
        to_numpy(task.backbone(batch)["sequence_output"]),
        to_numpy(whole.generator(batch)["sequence_output"]),
        atol=1e-6,
    )
    bias = task.masked_lm_head.output_bias
    name = "generator_predictions/output_bias"
    np.testing.assert_array_equal(to_numpy(bias), arrays[name])


def test_a_fine_tuned_head_is_found(tmp_path):
    prefix, arrays = checkpoint(tmp_path, FINE_TUNED)
    task = ConvBertTextClassifier.from_tf1_checkpoint(prefix)
    assert (task.num_classes, task.head) == (3, "linear")
    found = values(task)
    for part in ("kernel", "bias"):
        name = f"task_specific/mnli/dense/{part}"
        np.testing.assert_array_equal(found[f"logits/{part}"], arrays[name])
    with pytest.warns(UserWarning, match="is new"):
        new = ConvBertTextClassifier.from_tf1_checkpoint(prefix, num_classes=5)
    assert new.num_classes == 5


@pytest.mark.once
def test_which_task_is_meant_must_be_clear(tmp_path, pretraining):
    other = {name.replace("mnli", "qqp"): s for name, s in FINE_TUNED.items()}
    prefix, _ = checkpoint(tmp_path, FINE_TUNED, other)
    with pytest.raises(CheckpointError, match=r"\['mnli', 'qqp'\]"):
        ConvBertTextClassifier.from_tf1_checkpoint(prefix)
    task = ConvBertTextClassifier.from_tf1_checkpoint(prefix, task_name="qqp")
    assert task.num_classes == 3
    with pytest.raises(CheckpointError, match=r"one of \[\]"):
        ConvBertTextClassifier.from_tf1_checkpoint(pretraining[0])


@pytest.mark.once
def test_a_checkpoint_without_generator_has_no_masked_lm(tmp_path):
    prefix, _ = checkpoint(tmp_path, FINE_TUNED)
    with pytest.raises(CheckpointError, match="'generator/encoder/layer_0"):
        ConvBertMaskedLM.from_tf1_checkpoint(prefix)
