"""Labels and metrics of the text classifier follow the loss, however given."""

import functools
import re

import keras
import numpy as np
import pytest

from keras_convbert.models.base import label_losses
from tests.models.convbert import tasks
from tests.models.convbert import test_token_classifier
from tests.models.convbert import texts
from tests.models.convbert import tiny

X = texts.letters(6, longest=5)
IDS = np.array([0, 2, 1, 1, 0, 2], "int32")
ONE_HOT = np.eye(3, dtype="float32")[IDS]
VECTORS = np.array(
    [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]],
    "float32",
)
NAMES = ["neg", "so", "pos"]
SMALL = {
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
    "embedding_dim": 8,
}


@functools.cache
def classifier(**options):
    """Tests compile it, and do not change its weights."""
    task = tasks.classifier(backbone_options=SMALL, **options)
    return tasks.with_larger_weights(task, X)


def spellings(name):
    """Each way of naming a loss, with outputs that are probabilities."""
    cls = getattr(keras.losses, name)
    function = cls().fn
    yield function.__name__
    yield name
    yield function
    yield cls
    yield cls()
    yield keras.losses.serialize(cls())
    yield [cls()]
    yield [function.__name__]
    yield {"logits": cls()}
    yield functools.partial(function)
    yield type("Own", (cls,), {})()


LOSSES = {
    "SparseCategoricalCrossentropy": [[0, 3], [-1, 0], [0, 0.5], [[0, 1]] * 2],
    "CategoricalCrossentropy": [[0, 1], [[0, 1]] * 2, [[0, 7, 0]] * 2],
    "CategoricalFocalCrossentropy": [[0, 1], [[0, 7, 0]] * 2],
    "KLDivergence": [[0, 1], [[0], [1]], [[0, -1, 0]] * 2],
    "BinaryCrossentropy": [[0, 1], [[0], [1]], [[0, 7, 0]] * 2],
    "BinaryFocalCrossentropy": [[0, 1], [[0, np.nan, 0]] * 2],
    "MeanSquaredError": [[0, 1], [[0], [1]], [[0, np.inf, 0]] * 2],
    "MeanAbsoluteError": [[0, 1], [[0], [1]]],
    "Huber": [[0, 1], [[0], [1]]],
    "Poisson": [[0, 1], [[0], [1]]],
}


@pytest.mark.parametrize("name", LOSSES)
def test_labels_that_no_loss_takes_are_refused_in_every_spelling(name):
    task = classifier(activation="softmax")
    for loss in spellings(name):
        task.compile(loss=loss)
        for labels in LOSSES[name]:
            with pytest.raises(ValueError, match=r"^Expected labels .*Receiv"):
                task.evaluate(X[:2], labels, verbose=0)


@pytest.mark.once
def test_every_loss_of_keras_is_known_or_has_no_form():
    found = set()
    for name in dir(keras.losses):
        loss = getattr(keras.losses, name)
        if isinstance(loss, type) and issubclass(loss, keras.losses.Loss):
            try:
                found.add((name, label_losses.loss_labels(loss()).form))
            except TypeError:
                continue
    known = {name for name, form in found if form is not None}
    assert known >= {*LOSSES, "CategoricalGeneralizedCrossEntropy"}
    assert {name for name, form in found if form is None} == {
        *("CTC", "Circle", "CosineSimilarity", "Dice", "Hinge", "Loss"),
        *("SquaredHinge", "Tversky"),
    } & {name for name, _ in found}


@pytest.mark.once
@pytest.mark.parametrize(
    ("loss", "from_logits"),
    [
        ("binary_crossentropy", False),
        (keras.losses.BinaryCrossentropy, False),
        (keras.losses.BinaryCrossentropy(from_logits=True), True),
        (keras.losses.CategoricalCrossentropy(from_logits=True), True),
        (
            functools.partial(
                keras.losses.sparse_categorical_crossentropy, from_logits=True
            ),
            True,
        ),
        ("crossentropy", False),
        ("kl_divergence", False),
        ("mse", None),
        (lambda y, x: x, None),
    ],
)
def test_logits_in_a_loss_of_probabilities_are_told_of(loss, from_logits):
    for activation, wanted in ((None, True), ("softmax", False)):
        task = classifier(activation=activation)
        if from_logits in (None, wanted):
            task.compile(loss=loss)
            continue
        with pytest.warns(UserWarning, match=f"from_logits={wanted}`. Rec"):
            task.compile(loss=loss)


@pytest.mark.once
@pytest.mark.parametrize(
    "make", [tasks.masked_lm, test_token_classifier.tagger]
)
def test_logits_of_other_tasks_in_a_loss_of_probabilities_are_told_of(make):
    task = make(backbone_options=SMALL)
    with pytest.warns(UserWarning, match="from_logits=True`. Received"):
        task.compile(loss="sparse_categorical_crossentropy")


@pytest.mark.once
def test_weights_of_classes_have_names():
    found = []
    for weights in ({"neg": 5.0}, {0: 5.0}, None):
        keras.utils.set_random_seed(0)
        task = tasks.classifier(backbone_options=SMALL, labels=NAMES)
        history = task.fit(X, IDS, class_weight=weights, verbose=0)
        found.append(history.history["loss"][0])
    assert found[0] == found[1] != found[2]
    for options in ({"num_classes": 1}, {"activation": "sigmoid"}):
        with pytest.raises(ValueError, match="`sample_weight` in place of"):
            classifier(**options).fit(X, IDS, class_weight={0: 2.0}, verbose=0)


@pytest.mark.once
def test_unknown_losses_are_refused():
    with pytest.raises(ValueError, match="crossentropi"):
        classifier().compile(loss="crossentropi")


def accuracies(task, loss, labels):
    task.compile(loss=loss)
    tiny.eagerly_on_tensorflow(task)
    found = task.evaluate(X, labels, verbose=0, return_dict=True)
    return {name: value for name, value in found.items() if name != "loss"}


@pytest.mark.parametrize(
    ("loss", "labels", "name"),
    [
        ("auto", IDS, "sparse_categorical_accuracy"),
        (
            keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=0.1
            ),
            ONE_HOT,
            "categorical_accuracy",
        ),
        (
            keras.losses.BinaryCrossentropy(from_logits=True),
            VECTORS,
            "accuracy",
        ),
    ],
)
def test_the_accuracy_is_that_of_the_labels(loss, labels, name):
    task = classifier()
    logits = task.predict(X, verbose=0)
    assert (logits < 0).any()
    assert ((logits > 0) & (logits < 0.5)).any()
    right = logits.argmax(-1) == IDS
    if labels is VECTORS:
        right = (logits > 0) == (VECTORS == 1)
    found = accuracies(task, loss, labels)
    assert found == pytest.approx({name: right.mean()}, abs=1e-6)
    task.compile()


@pytest.mark.once
@pytest.mark.parametrize(
    ("loss", "labels", "options", "names"),
    [
        ("crossentropy", IDS, {"activation": "softmax"}, {"accuracy"}),
        ("crossentropy", ONE_HOT, {"activation": "softmax"}, {"accuracy"}),
        ("mse", IDS / 2, {"num_classes": 1}, {"pearson_correlation"}),
        ("mse", VECTORS, {}, set()),
        ("hinge", VECTORS, {}, set()),
        (lambda y, x: x[:, 0], IDS, {}, set()),
        (
            keras.losses.BinaryCrossentropy(),
            IDS // 2,
            {"num_classes": 1, "activation": "sigmoid"},
            {"accuracy"},
        ),
    ],
)
def test_metrics_follow_the_loss(loss, labels, options, names):
    task = classifier(**options)
    found = accuracies(task, loss, labels)
    assert found.keys() == names
    outputs = task.predict(X, verbose=0)
    if loss == "crossentropy":
        wanted = np.mean(outputs.argmax(-1) == IDS)
        assert found["accuracy"] == pytest.approx(wanted)
    task.compile()


@pytest.mark.once
def test_the_problem_type_follows_the_loss_and_is_kept(tmp_path):
    task = tasks.classifier(backbone_options=SMALL)
    assert task.problem_type == "single_label_classification"
    assert task.get_config()["problem_type"] is None
    task.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    assert task.problem_type == "multi_label_classification"
    task.save(tmp_path / "task.keras")
    revived = keras.saving.load_model(tmp_path / "task.keras", compile=False)
    assert revived.problem_type == "multi_label_classification"
    revived.compile()
    assert revived.loss.from_logits
    assert isinstance(revived.loss, keras.losses.BinaryCrossentropy)
    task.compile(loss="mse")
    assert task.problem_type == "regression"
    task.compile()
    assert task.problem_type == "single_label_classification"
    sigmoid = classifier(activation="sigmoid")
    sigmoid.compile(loss="mse")
    assert sigmoid.problem_type == "multi_label_classification"
    sigmoid.compile()


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problem_type": "ranking"}, "Received: problem_type='ranking'"),
        (
            {"problem_type": "regression", "activation": "softmax"},
            "'softmax' implies. Received: problem_type='regression'",
        ),
        (
            {"problem_type": "single_label_classification", "num_classes": 1},
            "Received: num_classes=1",
        ),
        ({"labels": ["a", "b"]}, r"3 names.*labels=\['a', 'b'\]"),
        ({"labels": ["a", "b", "a"]}, "different strings"),
        ({"labels": ["a", "b", 3]}, "different strings"),
        ({"labels": "abc"}, "Received: labels='abc'"),
        ({"labels": ["a", "b", "\ud800"]}, "UTF-8"),
        ({"num_classes": None}, "`num_classes`, or `labels`"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tasks.classifier(backbone_options=SMALL, **options)


def named(labels):
    return [NAMES[i] for i in labels]


def named_vectors(rows):
    return [[NAMES[i] for i in np.flatnonzero(row)] for row in rows]


def losses(task, *labels):
    for given in labels:
        tf_data = hasattr(given, "element_spec")
        samples = (given,) if tf_data else (X, given)
        yield task.evaluate(*samples, verbose=0, return_dict=True)["loss"]


@pytest.mark.once
def test_names_are_labels_as_ids_are():
    import pandas as pd
    import tensorflow as tf

    task = classifier(num_classes=None, labels=(*NAMES,))
    names = named(IDS)
    for given in (
        np.array(names),
        np.array(names, object),
        np.array(names, "S"),
        [name.encode() for name in names],
        pd.Series(names, index=range(5, 11)),
        tf.constant(names),
    ):
        np.testing.assert_array_equal(task.check_labels(given), IDS)
    wanted, *found = losses(
        task,
        IDS,
        names,
        np.array(names, "S")[:, None],
        pd.Series(names, dtype="category"),
        tf.data.Dataset.from_tensor_slices((X, names)).batch(4),
        tf.data.Dataset.from_tensor_slices((X, [[n] for n in names])).batch(4),
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.once
def test_several_names_are_labels_as_vectors_are():
    import pandas as pd
    import tensorflow as tf

    task = classifier(labels=(*NAMES,), activation="sigmoid")
    names = named_vectors(VECTORS)
    ragged = tf.data.Dataset.from_tensor_slices((X, tf.ragged.constant(names)))
    wanted, *found = losses(
        task,
        VECTORS,
        names,
        [(*row,) for row in names],
        pd.Series(names),
        pd.Series([*VECTORS]),
        ragged.batch(4),
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    nothing, *found = losses(task, np.zeros_like(VECTORS), [[]] * 6)
    np.testing.assert_allclose(found, nothing, rtol=1e-5)
    pairs, found = losses(task, [[1, 1, 0]] * 6, np.array([["so", "neg"]] * 6))
    np.testing.assert_allclose(found, pairs, rtol=1e-5)


@pytest.mark.once
def test_names_become_one_hot_labels_for_a_loss_of_them():
    import tensorflow as tf

    task = classifier(labels=(*NAMES,))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    task.compile(loss=loss, run_eagerly=True)
    names = named(IDS)
    wanted, *found = losses(
        task,
        ONE_HOT,
        names,
        tf.data.Dataset.from_tensor_slices((X, names)).batch(6),
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    task.compile()


def test_names_are_learned():
    task = tasks.classifier(backbone_options=SMALL, labels=NAMES)
    names = named(IDS)
    history = task.fit(
        X,
        names,
        validation_split=1 / 3,
        class_weight={0: 1.0, 1: 2.0, 2: 0.5},
        verbose=0,
    )
    assert np.isfinite(history.history["val_loss"]).all()
    history = task.fit(X, names, validation_data=(X, names), verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ({}, ["neg", "pos"], 'task, as `labels=["neg", "pos"]`. Received: '),
        ({"labels": NAMES}, ["neg", "bad"], "'neg', 'so', 'pos'. Received: "),
        ({"labels": NAMES}, ["neg", 0], "'neg', 'so', 'pos'. Received: '0'"),
        ({"labels": NAMES}, [["neg"], ["so", "pos"]], "one class name for"),
        ({"labels": NAMES}, [None, "neg"], "Received: y[0]=None"),
        ({"labels": NAMES}, ["neg", np.nan], "Received: "),
        ({}, [None, 1], "Received: y[0]=None"),
        ({}, [1, None], "Received: y[1]=None"),
        ({}, [[1], [0, 1]], "as many numbers"),
        ({}, [{"a": 1}, 1], "Received: {'a': 1} for sample 0"),
        ({}, [0, 1, 0], "same number of samples"),
        ({"num_classes": 1}, ["neg", "pos"], "numbers, for regression"),
        (
            {"activation": "sigmoid", "labels": NAMES},
            ["neg", "pos"],
            "a list of class names for each text. Received: 'neg'",
        ),
    ],
)
def test_labels_without_a_class_are_refused(options, labels, message):
    task = tasks.classifier(backbone_options=SMALL, **options)
    with pytest.raises(ValueError, match=re.escape(message)):
        task.fit(["a", "b"], labels, verbose=0)
    with pytest.raises(ValueError, match=re.escape(message)):
        task.evaluate(["a", "b"], labels, verbose=0)
    assert int(task.optimizer.iterations) == 0


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "labels", "error", "message"),
    [
        ({}, ["neg", "pos"], ValueError, "pass them to the task"),
        ({"labels": NAMES}, ["neg", "bad"], None, "neg.*so.*pos.*bad"),
        ({"labels": NAMES}, [["so", "so"]] * 2, ValueError, "one class name"),
        (
            {"labels": NAMES, "activation": "sigmoid"},
            ["neg", "pos"],
            ValueError,
            "a list of class names",
        ),
        ({}, [[0, 1, 0]] * 2, ValueError, "For one-hot labels"),
        ({"activation": "sigmoid"}, [0, 1], ValueError, r"\(batch, 3\)"),
    ],
)
def test_datasets_without_a_class_are_refused(options, labels, error, message):
    import tensorflow as tf

    task = tasks.classifier(backbone_options=SMALL, **options)
    dataset = tf.data.Dataset.from_tensors((["a", "b"], labels))
    error = error or tf.errors.InvalidArgumentError
    with pytest.raises(error, match=message):
        task.fit(dataset, verbose=0)


@pytest.mark.once
def test_files_without_the_new_arguments_open():
    task = classifier()
    config = task.get_config()
    for name in ("labels", "problem_type"):
        config.pop(name)
    revived = type(task).from_config(config)
    assert revived.get_config() == task.get_config()
