"""Weights of labels and of words, words left out, and confidences."""

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertTokenClassifier
from tests.models.convbert import tasks
from tests.models.convbert.test_batches_of_text import Batches
from tests.models.convbert.test_token_classifier import LABELS
from tests.models.convbert.test_token_classifier import preprocessor
from tests.models.convbert.test_token_classifier import sentences
from tests.models.convbert.test_token_classifier import tagger

WORDS, TAGS = sentences(8, longest=12)
IDS = [[LABELS.index(tag) for tag in row] for row in TAGS]
CLASS_WEIGHTS = {0: 0.25, 3: 4.0}
OF_CLASSES = [[CLASS_WEIGHTS.get(tag, 1.0) for tag in row] for row in IDS]
GENERATOR = np.random.default_rng(0)
OF_WORDS = [[float(GENERATOR.integers(1, 4)) for _ in row] for row in IDS]
OF_SENTENCES = [float(GENERATOR.integers(1, 4)) for _ in IDS]
OUT = [[GENERATOR.random() < 0.3 for _ in row] for row in IDS]
KEPT = [[float(not out) for out in row] for row in OUT]


def product(*weights):
    rows = [
        [np.full(len(tags), row) if np.isscalar(row) else row for row in rows]
        for tags, *rows in zip(IDS, *weights, strict=True)
    ]
    return [np.prod(row, axis=0).tolist() for row in rows]


def left_out(tags, value):
    return [
        [value if out else tag for tag, out in zip(row, outs, strict=True)]
        for row, outs in zip(tags, OUT, strict=True)
    ]


def history(x=WORDS, y=None, **options):
    keras.utils.set_random_seed(1)
    task = tagger({"num_layers": 1, "hidden_dim": 8})
    task.compile(keras.optimizers.Adam(0.01), run_eagerly=task.run_eagerly)
    return task.fit(x, y, shuffle=False, verbose=0, **options).history


@pytest.mark.parametrize(
    "given",
    [
        {"y": IDS, "class_weight": CLASS_WEIGHTS},
        pytest.param(
            {"y": TAGS, "class_weight": {"O": 0.25, "B-LOC": 4.0}},
            marks=pytest.mark.once,
        ),
        pytest.param(
            {"x": Batches([(WORDS, TAGS)]), "class_weight": CLASS_WEIGHTS},
            marks=pytest.mark.once,
        ),
    ],
    ids=["ids", "names", "batches"],
)
def test_class_weights_are_weights_of_words(given):
    wanted = history(y=IDS, sample_weight=OF_CLASSES)
    assert history(**given) == wanted
    assert history(y=IDS) != wanted


@pytest.mark.once
@pytest.mark.parametrize("weights", [OF_WORDS, OF_SENTENCES])
def test_class_weights_and_other_weights_are_multiplied(weights):
    wanted = history(y=IDS, sample_weight=product(OF_CLASSES, weights))
    options = {"sample_weight": weights, "class_weight": CLASS_WEIGHTS}
    assert history(y=IDS, **options) == wanted


@pytest.mark.once
def test_class_weights_apply_to_tf_data():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(
        (tf.ragged.constant(WORDS), tf.ragged.constant(TAGS))
    ).batch(8)
    found = history(dataset, class_weight={"O": 0.25, "B-LOC": 4.0})
    wanted = history(y=IDS, sample_weight=OF_CLASSES)
    assert found.keys() == wanted.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, wanted[name], rtol=1e-5)


@pytest.mark.once
def test_class_weights_do_not_apply_to_validation():
    options = {"y": IDS, "validation_data": (WORDS, IDS), "epochs": 1}
    keras.utils.set_random_seed(1)
    task = tagger({"num_layers": 1, "hidden_dim": 8})
    task.compile(keras.optimizers.SGD(0.0), run_eagerly=task.run_eagerly)
    found = task.fit(
        WORDS, **options, class_weight=CLASS_WEIGHTS, verbose=0
    ).history
    evaluated = task.evaluate(WORDS, IDS, verbose=0, return_dict=True)
    assert found["val_loss"] == [evaluated["loss"]]


@pytest.mark.parametrize(
    ("tags", "value"),
    [
        (IDS, -100),
        *(
            pytest.param(*case, marks=pytest.mark.once)
            for case in ((TAGS, None),)
        ),
    ],
)
def test_left_out_words_have_no_weight(tags, value):
    y = left_out(tags, value)
    wanted = history(
        y=IDS, sample_weight=KEPT, validation_data=(WORDS, IDS, KEPT)
    )
    assert history(y=y, validation_data=(WORDS, y)) == wanted
    assert {"val_loss", "val_accuracy", "val_entity_f1"} <= wanted.keys()


@pytest.mark.once
@pytest.mark.parametrize("weights", [None, OF_WORDS, OF_SENTENCES])
@pytest.mark.parametrize("stride", [None, 2])
def test_each_kept_word_has_its_weight_in_one_window(weights, stride):
    y = left_out(IDS, -100)
    ones = [[1.0] * len(row) for row in IDS]
    wanted = product(KEPT, ones if weights is None else weights)
    found, labels, of_positions = preprocessor(stride=stride)(
        x=WORDS, y=y, sample_weight=weights
    )
    kept = of_positions > 0
    flat = [weight for row in wanted for weight in row if weight]
    assert of_positions[kept].tolist() == flat
    tags = [tag for row in y for tag in row if tag != -100]
    assert labels[kept].tolist() == tags
    assert len(found["token_ids"]) > len(WORDS)


@pytest.mark.once
@pytest.mark.parametrize(
    ("weights", "labels"),
    [(OF_WORDS, left_out(IDS, -100)), (OF_SENTENCES, TAGS)],
)
def test_a_graph_makes_the_same_weights(weights, labels):
    import tensorflow as tf

    layer = preprocessor()
    wanted = layer(x=WORDS, y=labels, sample_weight=weights)
    parts = tuple(tf.ragged.constant(part) for part in (WORDS, labels))
    ragged = weights is OF_WORDS
    parts += (tf.ragged.constant(weights) if ragged else weights,)
    dataset = tf.data.Dataset.from_tensor_slices(parts).batch(8)
    (found,) = dataset.map(layer)
    tasks.assert_same_arrays(found, wanted)


BAD = [
    ({"sample_weight": [[1.0]]}, "weight for each word.*2 words and 1 weights"),
    ({"sample_weight": [1.0, 1.0]}, "1 sentences, weights for 2"),
    ({"sample_weight": [[1.0, None]]}, "finite weights"),
    ({"class_weight": {"B-ORG": 2.0}}, "each class once. Received: .B-ORG."),
    ({"class_weight": {9: 2.0}}, r"Received: 9 in class_weight=\{9"),
    ({"y": [["O", -1]]}, "Received: -1 in sentence 0"),
    ({"y": [None]}, r"missing values. Received: y\[0\]=None"),
    ({"y": ["O"]}, "a list of labels for each sentence"),
]


@pytest.mark.once
@pytest.mark.parametrize(("options", "message"), BAD)
def test_what_does_not_fit_is_refused(options, message):
    task = tagger()
    options = {"y": [["O", "O"]], **options}
    with pytest.raises(ValueError, match=message):
        task.fit([["a", "b"]], **options, verbose=0)


def test_confidences_are_the_probabilities_of_the_labels():
    task = tagger({"num_layers": 1, "hidden_dim": 8})
    labels, probabilities = task.predict_labels(
        WORDS, batch_size=3, return_probabilities=True
    )
    assert labels == task.predict_labels(WORDS)
    windows = task.preprocessor.windows(WORDS)
    outputs = task.predict(WORDS, verbose=0)
    softmax = np.exp(outputs) / np.exp(outputs).sum(-1, keepdims=True)
    for window, of_window in zip(windows, softmax, strict=True):
        for piece in np.flatnonzero(window.words >= 0):
            word = window.words[piece]
            found = probabilities[window.sentence][word]
            label = labels[window.sentence][word]
            wanted = of_window[piece + 1, LABELS.index(label)]
            assert found == pytest.approx(wanted, rel=1e-4)  # lengths differ
    assert [*map(len, probabilities)] == [*map(len, WORDS)]


@pytest.mark.once
def test_the_confidence_of_a_span_is_the_mean_of_its_words(monkeypatch):
    task = tagger()
    labels = [["O", "B-PER", "I-PER", "B-LOC"], ["O"], []]
    probabilities = [[0.9, 0.5, 0.7, 0.4], [0.8], []]
    monkeypatch.setattr(
        ConvBertTokenClassifier, "_predict", lambda *_: (labels, probabilities)
    )
    spans, found = task.predict_spans([], return_probabilities=True)
    assert spans == [[("PER", 1, 3), ("LOC", 3, 4)], [], []]
    assert found == [[pytest.approx(0.6), 0.4], [], []]
    assert task.predict_spans([]) == spans
