"""Served classifiers answer as `predict_labels`, by their problem type."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_convbert.export import export_saved_model
from keras_convbert.export.outputs import classes
from keras_convbert.models import ConvBertTextClassifier
from tests.export import tiny
from tests.layers.lifecycle import to_numpy

TEXTS = ["a good film", "bad films !", "the cafe", "good good"]
MULTI = "multi_label_classification"


def serve(model, folder, **options):
    path = export_saved_model(
        model, folder, signatures=["text"], verbose=False, **options
    )
    signature = tf.saved_model.load(path).signatures["text"]
    found = signature(text=tf.constant(TEXTS))
    return {name: value.numpy() for name, value in found.items()}


@pytest.mark.once
def test_one_label_is_that_of_predict_labels(served):
    model, served = served("classifier")
    found = served.signatures["text"](text=tf.constant(TEXTS))
    labels, wanted = model.predict_labels(TEXTS, return_probabilities=True)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-6)
    names = [tiny.LABELS[i].encode() for i in labels]
    assert found["label"].numpy().tolist() == names


@pytest.mark.once
def test_a_model_brings_the_names_of_its_classes(tmp_path):
    model = tiny.classifier(labels=tiny.LABELS)
    found = serve(model, tmp_path)
    names, wanted = model.predict_labels(TEXTS, return_probabilities=True)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-6)
    assert [name.decode() for name in found["label"]] == names


@pytest.mark.long
@pytest.mark.one_backend("torch")
def test_logits_of_several_labels_are_told_to_the_export_process(tmp_path):
    model = tiny.classifier(labels=tiny.LABELS)
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    logits = model.predict(TEXTS, verbose=0)
    model.output_dense.bias.assign(
        to_numpy(model.output_dense.bias) - np.median(logits, axis=0)
    )
    found = serve(model, tmp_path)
    names, wanted = model.predict_labels(TEXTS, return_probabilities=True)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-6)
    assert len({*map(tuple, names)}) > 1
    shown = [
        [name.encode() if name in row else b"" for name in tiny.LABELS]
        for row in names
    ]
    assert found["label"].tolist() == shown


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"num_classes": 3}, {"logits", "probabilities", "label"}),
        ({"num_classes": 1}, {"score"}),
        ({"num_classes": 3, "problem_type": "regression"}, {"score"}),
        (
            {"num_classes": 1, "activation": "sigmoid"},
            {"logits", "probabilities", "label"},
        ),
    ],
)
def test_outputs_follow_the_problem_type(options, wanted):
    model = ConvBertTextClassifier(tiny.backbone(), **options)
    inputs = tiny.token_ids(model)
    outputs = model(inputs)
    found = classes(model, outputs)
    assert found.keys() == wanted
    if wanted == {"score"}:
        shape = (3,) if options["num_classes"] == 1 else (3, 3)
        score = np.reshape(found["score"], shape)
        np.testing.assert_array_equal(score, np.reshape(outputs, shape))
        assert found["score"].shape == shape


@pytest.mark.once
def test_logits_and_probabilities_of_several_labels_agree():
    logits = tiny.classifier(strings=False, problem_type=MULTI)
    twin = tiny.classifier(strings=False, activation="sigmoid")
    for weight, value in zip(twin.weights, logits.get_weights(), strict=True):
        weight.assign(value)
    inputs = tiny.token_ids(logits)
    wanted = classes(twin, twin(inputs))
    for name, value in classes(logits, logits(inputs)).items():
        np.testing.assert_allclose(value, wanted[name], atol=1e-5)


@pytest.mark.once
def test_names_of_a_regression_model_are_refused(tmp_path):
    model = tiny.classifier(problem_type="regression", labels=tiny.LABELS)
    with pytest.raises(ValueError, match=r"`labels=None`.*regression model"):
        export_saved_model(model, tmp_path, labels=tiny.LABELS)
