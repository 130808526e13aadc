"""Scores of classifiers are those of `transformers.pipeline`, both ways."""

import json

import numpy as np
import pytest
import transformers

from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenClassifier
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert.transformers import transformers_models as theirs

SINGLE = "single_label_classification"
MULTI = "multi_label_classification"
REGRESSION = "regression"
TEXTS = ["a b c", "d", "e f g h i j"]
NEAR = {"atol": 1e-5}
NAMES = ["neg", "so", "pos"]
DEFAULT = ["LABEL_0", "LABEL_1", "LABEL_2"]


def pipeline_scores(folder):
    """Names and scores of the classes of each text, in the order of ids."""
    pipe = transformers.pipeline(
        "text-classification", model=str(folder), top_k=None
    )
    by_id = pipe.model.config.id2label
    names = [by_id[i] for i in range(len(by_id))]
    found = [{s["label"]: s["score"] for s in row} for row in pipe(TEXTS)]
    return names, np.array([[row[name] for name in names] for row in found])


def our_scores(task):
    if task.problem_type == REGRESSION:
        return task.predict(TEXTS, verbose=0)
    return task.predict_labels(TEXTS, return_probabilities=True)[1]


def save(folder, outputs=3, **changes):
    model = theirs.make(
        "ForSequenceClassification", num_labels=outputs, **changes
    )
    return theirs.save(model, folder, tokenizer=True)


@pytest.mark.parametrize(
    ("problem_type", "outputs", "activation", "loss"),
    [
        (None, 3, "linear", "SparseCategoricalCrossentropy"),
        (SINGLE, 3, "linear", "SparseCategoricalCrossentropy"),
        (MULTI, 3, "sigmoid", "BinaryCrossentropy"),
        (MULTI, 1, "sigmoid", "BinaryCrossentropy"),
        (REGRESSION, 1, "linear", "MeanSquaredError"),
        (REGRESSION, 3, "linear", "MeanSquaredError"),
    ],
)
def test_theirs_scores_here_and_goes_back(
    problem_type, outputs, activation, loss, tmp_path
):
    folder = save(tmp_path / "theirs", outputs, problem_type=problem_type)
    task = ConvBertTextClassifier.from_preset(folder)
    wanted_type = problem_type or SINGLE
    assert task.problem_type == wanted_type
    assert task.activation.__name__ == activation
    assert type(task.loss).__name__ == loss
    names, wanted = pipeline_scores(folder)
    np.testing.assert_allclose(our_scores(task), wanted, **NEAR)
    assert names == DEFAULT[:outputs]
    assert task.labels is None
    task.export_to_transformers(tmp_path / "ours")
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert config["problem_type"] == wanted_type
    names, found = pipeline_scores(tmp_path / "ours")
    np.testing.assert_allclose(found, wanted, **NEAR)
    assert names == DEFAULT[:outputs]


@pytest.mark.once
def test_one_output_without_a_problem_type_is_regression(tmp_path):
    folder = save(tmp_path, 1)
    task = ConvBertTextClassifier.from_preset(folder)
    assert task.problem_type == REGRESSION
    assert type(task.loss).__name__ == "MeanSquaredError"


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"num_classes": 3}, SINGLE),
        ({"num_classes": 3, "activation": "softmax"}, SINGLE),
        ({"num_classes": 3, "activation": "sigmoid"}, MULTI),
        ({"num_classes": 3, "problem_type": MULTI}, MULTI),
        ({"num_classes": 1}, REGRESSION),
        ({"num_classes": 3, "problem_type": REGRESSION}, REGRESSION),
        ({"num_classes": 1, "activation": "sigmoid"}, MULTI),
    ],
)
def test_ours_scores_there_and_comes_back(options, wanted, tmp_path):
    labels = NAMES[: options["num_classes"]]
    task = tasks.classifier(
        head="dense",
        labels=labels,
        backbone_options={"mask_conv": False},
        **options,
    )
    generator = np.random.default_rng(0)
    for weight in task.trainable_weights:
        weight.assign_add(generator.normal(size=weight.shape, scale=0.1))
    task.export_to_transformers(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["problem_type"] == wanted
    names, scores = pipeline_scores(tmp_path / "model")
    ours = our_scores(task)
    assert np.ptp(ours, axis=0).min() > 1e-3
    np.testing.assert_allclose(ours, scores, **NEAR)
    assert names == labels
    back = ConvBertTextClassifier.from_preset(
        tmp_path / "model", sequence_length=tasks.LENGTH
    )
    assert (back.problem_type, back.labels) == (wanted, labels)
    np.testing.assert_allclose(our_scores(back), ours, **NEAR)


@pytest.mark.once
@pytest.mark.parametrize(
    ("loss", "wanted"), [("mse", REGRESSION), ("crossentropy", SINGLE)]
)
def test_an_export_follows_the_loss(loss, wanted, tmp_path):
    activation = None if loss == "mse" else "softmax"
    task = tasks.classifier(
        head="dense",
        activation=activation,
        backbone_options={"mask_conv": False},
    )
    task.compile(loss=loss)
    task.export_to_transformers(tmp_path / "model")
    scores = pipeline_scores(tmp_path / "model")[1]
    np.testing.assert_allclose(our_scores(task), scores, **NEAR)
    back = ConvBertTextClassifier.from_preset(tmp_path / "model")
    assert back.problem_type == wanted


@pytest.mark.once
def test_arguments_replace_the_settings_of_a_folder(tmp_path):
    folder = save(tmp_path, problem_type=MULTI)
    logits = ConvBertTextClassifier.from_preset(folder, activation=None)
    assert logits.problem_type == MULTI
    sigmoid = ConvBertTextClassifier.from_preset(folder)
    np.testing.assert_allclose(our_scores(logits), our_scores(sigmoid), **NEAR)
    with pytest.raises(ValueError, match="'softmax' implies"):
        ConvBertTextClassifier.from_preset(folder, activation="softmax")


@pytest.mark.once
def test_names_of_classes_go_both_ways(tmp_path):
    folder = save(tmp_path / "theirs", id2label=dict(enumerate(NAMES)))
    task = ConvBertTextClassifier.from_preset(folder)
    assert task.labels == NAMES
    assert {*task.predict_labels(TEXTS)} <= {*NAMES}
    assert task.predict_labels(["a"]) == [
        NAMES[task.predict(["a"], verbose=0).argmax()]
    ]
    task.export_to_transformers(tmp_path / "ours")
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert config["id2label"] == {str(i): x for i, x in enumerate(NAMES)}
    assert config["label2id"] == {x: i for i, x in enumerate(NAMES)}
    names, wanted = pipeline_scores(folder)
    assert names == NAMES
    np.testing.assert_allclose(our_scores(task), wanted, **NEAR)


@pytest.mark.once
def test_names_that_contradict_each_other_are_told_of(tmp_path):
    names = dict(enumerate(NAMES))
    folder = save(tmp_path / "theirs", id2label=names)
    file = tmp_path / "theirs" / "config.json"
    config = json.loads(file.read_text())
    config["label2id"] = {name: 2 - i for i, name in names.items()}
    file.write_text(json.dumps(config))
    with pytest.warns(UserWarning, match="`label2id` in config.json disagree"):
        assert ConvBertTextClassifier.from_preset(folder).labels == NAMES


@pytest.mark.once
def test_a_head_without_names_is_named(tmp_path):
    folder = save(tmp_path / "theirs")
    task = ConvBertTextClassifier.from_preset(folder, labels=NAMES)
    assert task.labels == NAMES
    wanted = ConvBertTextClassifier.from_preset(folder)
    np.testing.assert_array_equal(
        to_numpy(task.output_dense.kernel), to_numpy(wanted.output_dense.kernel)
    )
    task.save_to_preset(tmp_path / "named")
    again = ConvBertTextClassifier.from_preset(
        tmp_path / "named", labels=(*NAMES,)
    )
    assert again.labels == NAMES
    with pytest.warns(UserWarning, match="is new"):
        other = ConvBertTextClassifier.from_preset(
            tmp_path / "named", labels=["a", "b"]
        )
    assert (other.num_classes, other.labels) == (2, ["a", "b"])
    with pytest.warns(UserWarning, match="is new"):
        other = ConvBertTextClassifier.from_preset(
            tmp_path / "named", num_classes=4
        )
    assert (other.num_classes, other.labels) == (4, None)
    with pytest.raises(ValueError, match="4 names, as `num_classes=4`"):
        ConvBertTextClassifier.from_preset(folder, num_classes=4, labels=NAMES)


@pytest.mark.once
def test_names_are_enough_for_a_new_head(tmp_path):
    folder = theirs.save(theirs.make(), tmp_path / "theirs", tokenizer=True)
    with pytest.raises(ValueError, match="`num_classes` or `labels` to create"):
        ConvBertTextClassifier.from_preset(folder)
    with pytest.warns(UserWarning, match="is new"):
        task = ConvBertTextClassifier.from_preset(folder, labels=NAMES)
    assert task.num_classes == 3
    small = ConvBertTextClassifier.from_preset(
        "convbert_small", load_weights=False, labels=NAMES
    )
    assert small.num_classes == 3


@pytest.mark.once
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem_type": "ranking"}, "`problem_type` .*'ranking'"),
        ({"id2label": {"0": "a", "1": "b"}}, "`id2label` to name the ids 0 to"),
        ({"id2label": {"0": "a", "1": "b", "3": "c"}}, "`id2label` to name"),
        ({"id2label": {"0": "a", "1": "b", "x": "c"}}, "`id2label` to name"),
        ({"id2label": ["a", "b", "c"]}, "`id2label` to name"),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, "`id2label` to have a"),
        ({"id2label": {"0": "a", "1": "b", "2": 2}}, "`id2label` to have a"),
    ],
)
@pytest.mark.parametrize("name", ["Sequence", "Token"])
def test_settings_that_no_head_has_are_refused(
    name, changes, message, tmp_path
):
    kinds = {
        "Sequence": ConvBertTextClassifier,
        "Token": ConvBertTokenClassifier,
    }
    model = theirs.make(f"For{name}Classification")
    folder = theirs.save(model, tmp_path, tokenizer=True)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    if name == "Token" and "problem_type" in changes:
        ConvBertTokenClassifier.from_preset(folder)
        return
    with pytest.raises(ValueError, match=message):
        kinds[name].from_preset(folder)


@pytest.mark.once
def test_a_single_label_of_one_class_is_refused(tmp_path):
    folder = save(tmp_path, 1)
    path = tmp_path / "config.json"
    config = {**json.loads(path.read_text()), "problem_type": SINGLE}
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"2 classes.*num_labels=1"):
        ConvBertTextClassifier.from_preset(folder)


@pytest.mark.once
def test_other_activations_are_refused(tmp_path):
    task = tasks.classifier(head="dense", activation="tanh")
    with pytest.raises(ValueError, match="Received: activation='tanh'"):
        task.export_to_transformers(tmp_path / "model")
    assert not (tmp_path / "model").exists()
