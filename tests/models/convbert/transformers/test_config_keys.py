"""Every key of `config.json`: honored, refused by name, or without effect."""

import json
import warnings

import numpy as np
import pytest
import transformers

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.models.convbert.transformers import config_keys as keys
from keras_convbert.models.convbert.transformers import weight_names as names
from tests.layers.lifecycle import to_numpy
from tests.models.convbert.transformers import transformers_models as theirs

NEAR = {"atol": 1e-5, "rtol": 1e-5}
SMALL = {**theirs.SMALL, "max_position_embeddings": 16}
# Keys whose other value is of no type that the present one shows.
OTHER_VALUES = {
    "hidden_act": "relu",
    "model_type": "bert",
    "architectures": ["ConvBertForMaskedLM"],
    "dtype": "float16",
    "torch_dtype": "float16",
    "id2label": {"0": "A", "1": "B", "2": "C"},
    "label2id": {"A": 0, "B": 1, "C": 2},
    # "multi_label_classification" adds an activation to our outputs.
    "problem_type": "single_label_classification",
    "position_embedding_type": "relative_key",
    "pruned_heads": {"0": [0]},
    "quantization_config": {"quant_method": "fp8"},
    "auto_map": {"AutoModel": "modeling.Model"},
    "summary_type": "mean",
    "summary_activation": "tanh",
}
# `transformers` computes in the dtype of the file, and we in the global one.
OF_DTYPES = {"dtype", "torch_dtype"}


def other_value(key, value):
    if key in OTHER_VALUES:
        return OTHER_VALUES[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.5 + 0.1
    return "other" if value is None or isinstance(value, str) else None


def write_config(folder, config):
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder, its config with every key, and its results."""
    folder = tmp_path_factory.mktemp("small")
    model = theirs.make("ForSequenceClassification", **SMALL)
    theirs.save(model, folder, tokenizer=True)
    whole = {**model.config.to_dict(), **read_config(folder)}
    return folder, whole


def read_config(folder):
    return json.loads((folder / "config.json").read_text())


def arrays():
    found = theirs.inputs(length=7)
    found["token_ids"] %= SMALL["vocab_size"]
    return found


def results_of_theirs(folder):
    kind = transformers.ConvBertForSequenceClassification
    try:
        model, found = kind.from_pretrained(folder, output_loading_info=True)
        if found["missing_keys"] or found["mismatched_keys"]:
            return None
        return theirs.call(model.eval(), arrays())
    except Exception:
        return None


def open_ours(folder):
    """The task and `None`, or `None` and the error."""
    try:
        task = ConvBertTextClassifier.from_preset(folder, sequence_length=7)
    except Exception as error:
        return None, error
    return task, None


def known_keys():
    """Keys of `ConvBertConfig`, of older releases and of the port."""
    ours = (
        names.HF_ARGUMENTS.keys()
        | names.HF_OLDER_ARGUMENTS.keys()
        | keys.HF_HEAD_KEYS
        | keys.HF_REQUIRED.keys()
        | keys.HF_WITHOUT_EFFECT
    )
    return sorted(transformers.ConvBertConfig().to_dict().keys() | ours)


@pytest.mark.once
def test_every_key_of_the_installed_transformers_is_listed(small):
    folder, whole = small
    write_config(folder, whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConvBertBackbone.from_preset(folder)


@pytest.mark.once
def test_unknown_keys_are_named(small):
    folder, whole = small
    write_config(folder, {**whole, "stochastic_depth": 0.1, "experts": 2})
    with pytest.warns(UserWarning, match=r"\['experts', 'stochastic_depth'\]"):
        ConvBertBackbone.from_preset(folder)


@pytest.mark.one_backend("torch")
@pytest.mark.filterwarnings("ignore:.*:FutureWarning")
@pytest.mark.parametrize("part", [0, 1])
def test_another_value_of_every_key_is_honored_or_named(part, small):
    """Equal logits, or both libraries fail, or an error or a warning says so.

    An unequal size may be reported by the name of its array.
    """
    folder, whole = small
    compared = 0
    for key in sorted(known_keys())[part::2]:
        value = other_value(key, whole.get(key))
        write_config(folder, {**whole, key: value})
        wanted = results_of_theirs(folder)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            task, error = open_ours(folder)
        said = [error, *(warning.message for warning in caught)]
        if any(key in str(message) for message in said):
            continue
        if task is None:
            assert wanted is None, (key, error)
            continue
        if wanted is None:
            assert key not in names.HF_ARGUMENTS, key
            continue
        compared += 1
        tolerance = NEAR
        if key in OF_DTYPES:
            tolerance = {"atol": 1e-3}  # half precision in `transformers`
        np.testing.assert_allclose(
            to_numpy(task(arrays())), wanted, err_msg=key, **tolerance
        )
    assert compared > 25


@pytest.mark.once
def test_every_key_goes_there_and_back(small, tmp_path):
    folder, whole = small
    changed = {
        "hidden_dropout_prob": 0.3,
        "attention_probs_dropout_prob": 0.2,
        "classifier_dropout": 0.4,
        "layer_norm_eps": 1e-5,
        "hidden_act": "relu",
    }
    config = {**whole, **changed}
    write_config(folder, config)
    task = ConvBertTextClassifier.from_preset(folder)
    task.export_to_transformers(tmp_path / "first")
    first = read_config(tmp_path / "first")
    again = ConvBertTextClassifier.from_preset(tmp_path / "first")
    again.export_to_transformers(tmp_path / "second")
    assert read_config(tmp_path / "second") == first
    # `None` stands for it in a config with several labels.
    config["problem_type"] = "single_label_classification"
    kept = keys.HF_HEAD_KEYS | names.HF_ARGUMENTS.keys() | {"pad_token_id"}
    for key in kept & first.keys() & config.keys():
        assert first[key] == config[key], key
    assert names.HF_ARGUMENTS.keys() | changed.keys() <= first.keys()


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"head_ratio": 1, "radio": 2}, "radio"),
        ({"num_groups": 1, "linear_groups": 2}, "linear_groups"),
        ({"is_decoder": True}, "is_decoder=True"),
    ],
)
def test_settings_that_contradict_are_refused(changes, named, small):
    folder, whole = small
    write_config(folder, {**whole, **changes})
    with pytest.raises(ValueError, match=named):
        ConvBertBackbone.from_preset(folder)


@pytest.mark.once
def test_another_padding_token_is_refused(small):
    folder, whole = small
    for accepted in (0, 1, None):
        write_config(folder, {**whole, "pad_token_id": accepted})
        assert ConvBertTokenizer.from_preset(folder).pad_token_id == 0
    write_config(folder, {**whole, "pad_token_id": 3})
    with pytest.raises(ValueError, match="pad_token_id=3"):
        ConvBertTokenizer.from_preset(folder)


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_act": "relu"}, "hidden_act='relu'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings=False"),
    ],
)
def test_masked_lm_heads_that_compute_otherwise_are_refused(
    changes, named, tmp_path
):
    theirs.save(theirs.make("ForMaskedLM", **SMALL), tmp_path, tokenizer=True)
    write_config(tmp_path, {**read_config(tmp_path), **changes})
    with pytest.raises(ValueError, match=named):
        ConvBertMaskedLM.from_preset(tmp_path)
