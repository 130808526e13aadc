"""Folders of the port that preceded ConvBERT in `transformers`.

The names are those of `modeling_convbert.py` and of the published
`config.json` files in https://github.com/JunnYu/ConvBert_huggingface.
"""

import re

import numpy as np
import pytest
import transformers

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertMultipleChoice
from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenClassifier
from keras_convbert.models.convbert.convbert_family import CONVBERT
from keras_convbert.models.presets.preset import Preset
from tests.layers.lifecycle import to_numpy
from tests.models.convbert.transformers import test_loading as files
from tests.models.convbert.transformers import transformers_models as theirs

NEAR = {"atol": 1e-5, "rtol": 1e-5}
SETTINGS = (
    "attention_probs_dropout_prob",
    "conv_kernel_size",
    "embedding_size",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "id2label",
    "initializer_range",
    "intermediate_size",
    "label2id",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "pad_token_id",
    "type_vocab_size",
    "vocab_size",
)
RENAMED = (
    (r"^convbert\.", "electra."),
    ("key_conv_attn_layer", "separable_conv1d"),
    ("conv_kernel_layer", "conv_attn_kernel"),
    ("conv_out_layer", "conv_attn_point"),
)
HEADS = {
    "Model": ConvBertBackbone,
    "ForSequenceClassification": ConvBertTextClassifier,
    "ForTokenClassification": ConvBertTokenClassifier,
    "ForQuestionAnswering": ConvBertQuestionAnswerer,
}


def as_port(folder, name):
    """Rewrites a folder of `transformers` as the port wrote it."""
    arrays = {}
    for key, array in files.read(folder).items():
        for pattern, replacement in RENAMED:
            key = re.sub(pattern, replacement, key)
        arrays[key] = array
    prefix = "" if name == "Model" else "electra."
    arrays[f"{prefix}embeddings.position_ids"] = np.arange(40)[None]
    files.write(folder, arrays)
    found = files.read_config(folder)
    config = {key: found[key] for key in SETTINGS if key in found}
    config |= {
        "architectures": [f"Electra{name}"],
        "model_type": "electra",
        "linear_groups": found["num_groups"],
        "radio": found["head_ratio"],
    }
    files.write_config(folder, config)


@pytest.mark.parametrize("name", HEADS)
def test_the_port_gives_the_results_of_its_successor(name, tmp_path):
    options = {"num_labels": 2} if name == "ForQuestionAnswering" else {}
    model = theirs.make(name, num_groups=2, head_ratio=4, **options)
    folder = theirs.save(model, tmp_path)
    as_port(folder, name)
    kind = HEADS[name]
    preset = Preset(folder, CONVBERT)
    assert preset.foreign.class_name(preset) == kind.__name__
    options = {} if name == "Model" else {"preprocessor": None}
    found = kind.from_preset(folder, **options)(theirs.inputs())
    if isinstance(found, dict):
        found = found.get("sequence_output", found.get("start_logits"))
    np.testing.assert_allclose(
        to_numpy(found), theirs.call(model, theirs.inputs()), **NEAR
    )


@pytest.mark.once
def test_the_pretraining_head_of_the_port_is_left_out(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path)
    as_port(folder, "Model")
    arrays = files.read(folder)
    for name in ("dense", "dense_prediction"):
        for part in ("weight", "bias"):
            key = f"discriminator_predictions.{name}.{part}"
            arrays[key] = np.ones(3, "float32")
    files.write(folder, arrays)
    ConvBertBackbone.from_preset(folder)


@pytest.mark.once
def test_heads_of_the_port_that_compute_otherwise_are_refused(tmp_path):
    for name, kind, changes, named in (
        (
            "ForSequenceClassification",
            ConvBertTextClassifier,
            {"hidden_act": "relu"},
            "hidden_act='relu'",
        ),
        ("ForMaskedLM", ConvBertMaskedLM, {}, "layer_norm_eps=1e-12"),
    ):
        folder = theirs.save(theirs.make(name), tmp_path / name)
        as_port(folder, name)
        config = files.read_config(folder)
        files.write_config(folder, {**config, **changes})
        with pytest.raises(ValueError, match=named):
            kind.from_preset(folder, preprocessor=None)


@pytest.mark.once
@pytest.mark.parametrize("changes", [{}, {"radio": 2}])
def test_an_electra_is_refused(changes, tmp_path):
    folder = theirs.save(theirs.make(), tmp_path)
    config = transformers.ElectraConfig().to_dict()
    files.write_config(folder, {**config, **changes})
    message = r"model_type='electra' without the keys .*'linear_groups'"
    with pytest.raises(ValueError, match=message):
        ConvBertBackbone.from_preset(folder)


@pytest.mark.once
def test_multiple_choice_of_the_port_has_other_defaults(tmp_path):
    model = theirs.make(
        "ForMultipleChoice",
        summary_type="first",
        summary_use_proj=True,
        summary_activation="gelu",
        summary_last_dropout=0.1,
    )
    folder = theirs.save(model, tmp_path)
    as_port(folder, "ForMultipleChoice")
    assert "summary_type" not in files.read_config(folder)
    task = ConvBertMultipleChoice.from_preset(folder, preprocessor=None)
    assert (task.pooling, task.projection, task.dropout) == ("first", True, 0.1)
    arrays = {name: x[:, None] for name, x in theirs.inputs().items()}
    np.testing.assert_allclose(
        to_numpy(task(arrays)), theirs.call(model, arrays), **NEAR
    )
