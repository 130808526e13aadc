"""`predict_labels` of the text classifier, beside `predict`."""

import keras
import numpy as np
import pytest

from keras_convbert import load_model
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from tests.models.convbert import tasks
from tests.models.convbert import texts

X = texts.letters(7, longest=5)
PAIR = (texts.letters(7, longest=3), texts.letters(7, longest=3, seed=1))
NAMES = ["neg", "so", "pos"]
LENGTH = tasks.LENGTH


def classifier(**options):
    sizes = {"num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
    task = tasks.classifier(
        backbone_options={**sizes, "embedding_dim": 8}, **options
    )
    if task.preprocessor is None:
        return task
    return tasks.with_larger_weights(task, X)


@pytest.fixture(scope="module")
def task():
    return classifier(labels=NAMES)


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("x", [X, PAIR, (*map(np.array, PAIR),)])
def test_the_most_probable_class_is_named(task, x):
    wanted = softmax(task.predict(x, verbose=0))
    assert len({*wanted.argmax(-1)}) > 1
    labels, found = task.predict_labels(
        x, return_probabilities=True, batch_size=3
    )
    assert (found.shape, found.dtype) == ((7, 3), "float32")
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert labels == [NAMES[i] for i in wanted.argmax(-1)]
    assert task.predict_labels(x) == labels


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_classes_above_the_threshold_are_named(activation):
    task = classifier(
        activation=activation, problem_type="multi_label_classification"
    )
    wanted = task.predict(X, verbose=0)
    if activation is None:
        wanted = sigmoid(wanted)
    labels, found = task.predict_labels(X, return_probabilities=True)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert len({*map(len, labels)}) > 1
    assert labels == [[*np.flatnonzero(row > 0.5)] for row in wanted]
    threshold = float(np.median(wanted)) + 1e-4
    task.labels = NAMES
    assert task.predict_labels(X, threshold=threshold) == [
        [NAMES[i] for i in np.flatnonzero(row > threshold)] for row in wanted
    ]
    assert task.predict_labels(X, threshold=1.0) == [[]] * 7


def test_names_and_problem_type_are_kept_in_files(tmp_path):
    task = classifier(labels=NAMES)
    task.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    wanted = task.predict_labels(X, return_probabilities=True)
    task.save(tmp_path / "task.keras")
    task.save_to_preset(tmp_path / "preset")
    for revived in (
        load_model(tmp_path / "task.keras"),
        ConvBertTextClassifier.from_preset(tmp_path / "preset"),
    ):
        assert revived.labels == NAMES
        found = revived.predict_labels(X, return_probabilities=True)
        assert found[0] == wanted[0]
        np.testing.assert_allclose(found[1], wanted[1], atol=1e-6)
        assert type(revived.loss) is keras.losses.BinaryCrossentropy
        assert revived.loss.from_logits


@pytest.mark.once
def test_no_texts_have_no_labels(task):
    labels, found = task.predict_labels([], return_probabilities=True)
    assert (labels, found.shape) == ([], (0, 3))


@pytest.mark.once
def test_activated_outputs_give_the_same(task):
    twin = ConvBertTextClassifier(
        task.backbone, 3, task.preprocessor, activation="softmax"
    )
    for weight, value in zip(twin.weights, task.get_weights(), strict=True):
        weight.assign(value)
    long = [" ".join(X)]
    for options in ({}, {"long_texts": "window"}):
        wanted = task.predict_labels(X + long, True, **options)[1]
        found = twin.predict_labels(X + long, True, **options)[1]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert twin.predict_labels(["a"])[0] in (0, 1, 2)


def windows_by_hand(text, size, stride):
    """The texts of the windows; each letter is a piece."""
    letters = text.split()
    windows = [letters[:size]]
    while (len(windows) - 1) * stride + size < len(letters):
        start = len(windows) * stride
        windows.append(letters[start : start + size])
    return [" ".join(window) for window in windows]


@pytest.mark.parametrize("reduction", ["mean", "max"])
@pytest.mark.parametrize("stride", [None, 2, 6])
def test_long_texts_are_the_reduction_of_their_windows(task, reduction, stride):
    long = [
        "a",
        " ".join(texts.LETTERS),
        " ".join(texts.LETTERS[:6]),
        " ".join(texts.LETTERS[:7]),
    ]
    size = LENGTH - 2
    wanted = []
    for text in long:
        windows = windows_by_hand(text, size, stride or size // 2)
        logits = task.predict(windows, verbose=0)
        wanted.append(getattr(np, reduction)(logits, axis=0))
    wanted = softmax(np.array(wanted))
    labels, found = task.predict_labels(
        long,
        return_probabilities=True,
        batch_size=3,
        long_texts="window",
        stride=stride,
        window_reduction=reduction,
    )
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert labels == [NAMES[i] for i in wanted.argmax(-1)]
    truncated = task.predict_labels(long, return_probabilities=True)[1]
    different = abs(found - truncated).max(-1) > 1e-4
    assert different.tolist() == [False, True, False, True]


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"texts": "a"}, "a list of strings"),
        ({"texts": (["a"], ["b", "c"])}, r"with \[1, 2\] strings"),
        ({"long_texts": "cut"}, "Received: long_texts='cut'"),
        ({"long_texts": "window", "texts": PAIR}, "for pairs of texts"),
        ({"long_texts": "window", "stride": 7}, "Received: stride=7"),
        ({"window_reduction": "sum"}, "Received: window_reduction='sum'"),
        ({"threshold": 2}, "Received: threshold=2"),
        ({"batch_size": 0}, "Received: batch_size=0"),
    ],
)
def test_bad_arguments_are_refused(task, options, message):
    with pytest.raises(ValueError, match=message):
        task.predict_labels(**{"texts": X, **options})


@pytest.mark.once
def test_tasks_without_classes_or_preprocessor_are_refused():
    with pytest.raises(ValueError, match="For regression use `predict`"):
        classifier(num_classes=1).predict_labels(["a"])
    with pytest.raises(ValueError, match="preprocessor=None"):
        classifier(preprocessor=None).predict_labels(["a"])


@pytest.mark.once
def test_windows_need_whole_texts():
    preprocessor = ConvBertTextClassifierPreprocessor(
        texts.tokenizer(sequence_length=4), sequence_length=LENGTH
    )
    with pytest.raises(ValueError, match="`sequence_length=None`"):
        classifier(preprocessor=preprocessor).predict_labels(
            ["a"], long_texts="window"
        )
