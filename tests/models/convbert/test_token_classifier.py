import itertools

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertTokenClassifier
from keras_convbert.models import ConvBertTokenClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.models import entity_spans
from keras_convbert.text.entity_spans import find_spans
from keras_convbert.text.entity_spans import tag_tables
from keras_convbert.text.windows import windows_of
from keras_convbert.text.word_labels import label_ids_in_graph
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert import texts

LABELS = ["O", "B-PER", "I-PER", "B-LOC"]
VOCABULARY = [*texts.VOCABULARY, "##a", "##b", "##c"]
LENGTH = 8


def preprocessor(**options):
    return ConvBertTokenClassifierPreprocessor(
        ConvBertTokenizer(VOCABULARY),
        LABELS,
        **{"sequence_length": LENGTH, **options},
    )


def tagger(backbone_options=None, **options):
    backbone = tasks.tiny.backbone(
        vocabulary_size=len(VOCABULARY), **(backbone_options or {})
    )
    task = ConvBertTokenClassifier(
        backbone, LABELS, **{"preprocessor": preprocessor(), **options}
    )
    return tasks.tiny.eagerly_on_tensorflow(task)


def sentences(count=12, longest=20, seed=0):
    """Sentences, and labels that their words tell."""
    generator = np.random.default_rng(seed)
    words = [
        [
            "".join(generator.choice([*"abc"], generator.integers(1, 4)))
            for _ in range(generator.integers(0, longest))
        ]
        for _ in range(count)
    ]
    of_letters = {"a": "O", "b": "B-PER", "c": "B-LOC"}
    return words, [[of_letters[word[0]] for word in row] for row in words]


@pytest.mark.once
@pytest.mark.parametrize(("size", "stride"), [(6, 3), (6, 1), (5, 5), (6, 4)])
def test_windows_part_a_text(size, stride):
    for length in range(40):
        windows = windows_of(length, size, stride)
        owned = [i for w in windows for i in range(w.first, w.last)]
        assert owned == [*range(length)]
        for window in windows:
            assert 0 <= window.end - window.start <= size
            assert window.start <= window.first
            assert window.last <= window.end
        assert windows[-1].end == length
        assert len(windows) == 1 or windows[-2].end < length


@pytest.mark.once
def test_the_first_piece_has_the_label():
    x, y, weights = preprocessor()(
        x=[["ab", "", "c"], ["d\u200be"]], y=[["O", "B-LOC", 2], ["B-PER"]]
    )
    tokens = ["[CLS]", "a", "##b", "[UNK]", "c", "[SEP]", "[PAD]", "[PAD]"]
    ids = [VOCABULARY.index(token) for token in tokens]
    assert x["token_ids"].tolist()[0] == ids
    assert x["padding_mask"].tolist()[0] == [1] * 6 + [0] * 2
    assert not x["segment_ids"].any()
    assert weights.tolist()[0] == [0, 1, 0, 1, 1, 0, 0, 0]
    assert y.tolist()[0] == [0, 0, 0, 3, 2, 0, 0, 0]
    assert y[1, 1] == 1
    assert weights[1].sum() == 1


@pytest.mark.once
@pytest.mark.parametrize("stride", [None, 1, 4, 6])
def test_each_word_counts_once(stride):
    words, labels = sentences()
    assert max(len("".join(row)) for row in words) > 3 * LENGTH
    x, y, weights = preprocessor(stride=stride)(x=words, y=labels)
    assert len(x["token_ids"]) > len(words)
    assert weights.sum() == sum(map(len, words))
    found = [LABELS[i] for i in y[weights > 0]]
    assert found == [label for row in labels for label in row]


@pytest.mark.once
@pytest.mark.parametrize("stride", [None, 4])
def test_a_graph_makes_the_same_rows(stride):
    import tensorflow as tf

    words, labels = sentences()
    words[3] = ["\u0301", "a" * 200, "b.c", "é"]
    labels[3] = ["O"] * 4
    weights = np.arange(12.0) / 4
    layer = preprocessor(stride=stride)
    if stride:
        labels = [[LABELS.index(label) for label in row] for row in labels]
    wanted = layer(x=words, y=labels, sample_weight=weights)
    dataset = tf.data.Dataset.from_tensor_slices(
        (tf.ragged.constant(words), tf.ragged.constant(labels), weights)
    ).batch(12)
    (found,) = dataset.map(layer)
    tasks.assert_same_arrays(found, wanted)


BAD = [
    ([["a"]], [["O", "O"]], "label for each word.*1 words and 2 labels"),
    ([["a"]], [["B-ORG"]], r"Expected labels of .*Received: 'B-ORG'"),
    ([["a"]], [[4]], "Received: 4 in sentence 0"),
    ([["a"], ["b"]], [["O"]], "2 sentences, labels for 1"),
    (["a b"], [["O"]], "list of lists of strings"),
    ([["a", None]], [["O", "O"]], "list of lists of strings"),
    ([["a\ud800"]], [["O"]], "surrogates"),
]


@pytest.mark.once
@pytest.mark.parametrize(("words", "labels", "message"), BAD)
def test_what_does_not_fit_is_refused(words, labels, message):
    with pytest.raises(ValueError, match=message):
        preprocessor()(x=words, y=labels)


@pytest.mark.once
@pytest.mark.parametrize("labels", [[["O", "O"]], [["B-ORG"]], [[4]]])
def test_a_graph_refuses_it_too(labels):
    import tensorflow as tf

    words, labels = tf.ragged.constant([["a"]]), tf.ragged.constant(labels)
    error = tf.errors.InvalidArgumentError
    with pytest.raises(error, match="Expected a label"):
        label_ids_in_graph(LABELS, words, labels)


@pytest.mark.once
def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="Expected a positive integer of at"):
        preprocessor(stride=7)
    for labels in ("O", [], ["O", "O"], [1]):
        with pytest.raises(ValueError, match="different strings"):
            ConvBertTokenClassifierPreprocessor(texts.tokenizer(), labels)
    with pytest.raises(ValueError, match="does not cut texts"):
        ConvBertTokenClassifierPreprocessor(
            texts.tokenizer(sequence_length=5), LABELS
        )
    with pytest.raises(
        ValueError, match="Expected the labels of the preprocessor"
    ):
        ConvBertTokenClassifier(
            tasks.tiny.backbone(vocabulary_size=len(VOCABULARY)),
            ["O"],
            preprocessor=preprocessor(),
        )


@pytest.mark.parametrize(
    "dtype",
    ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.long)],
)
def test_it_learns_what_words_tell(dtype, tmp_path):
    task = tagger(backbone_options={"dtype": dtype, "dropout": 0.0})
    task.compile(keras.optimizers.Adam(0.01))
    words, labels = sentences(24)
    history = task.fit(
        words,
        labels,
        batch_size=12,
        epochs=3,
        verbose=0,
        validation_data=sentences(6, seed=1),
    ).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert {"accuracy", "entity_f1", "val_entity_f1"} <= history.keys()
    words, labels = sentences(6, seed=2)
    found = task.predict_labels(words)
    assert [*map(len, found)] == [*map(len, words)]
    flat = [
        *zip(
            [*itertools.chain(*found)],
            [*itertools.chain(*labels)],
            strict=True,
        )
    ]
    right = np.mean([one == other for one, other in flat])
    assert right > 0.8
    assert task.predict_labels(words, batch_size=1) == found
    assert [len(task.predict_labels([row])[0]) for row in words] == [
        *map(len, words)
    ]
    evaluated = task.evaluate(words, labels, verbose=0, return_dict=True)
    assert abs(evaluated["accuracy"] - right) < 1e-6

    task.save(tmp_path / "tagger.keras")
    task.save_to_preset(tmp_path / "tagger")
    revived = [
        keras.saving.load_model(tmp_path / "tagger.keras"),
        ConvBertTokenClassifier.from_preset(tmp_path / "tagger", dtype=dtype),
    ]
    for other in revived:
        assert other.predict_labels(words) == found
        assert other.labels == LABELS
    spans = task.predict_spans(words)
    assert spans == [entity_spans(row) for row in found]


@pytest.mark.once
def test_other_labels_make_a_new_head(tmp_path):
    task = tagger()
    task.save_to_preset(tmp_path)
    assert ConvBertTokenClassifier.from_preset(tmp_path, labels=LABELS)
    with pytest.warns(UserWarning, match="head of ConvBertTokenClassifier"):
        other = ConvBertTokenClassifier.from_preset(tmp_path, labels=["X", "Y"])
    assert other.labels == other.preprocessor.labels == ["X", "Y"]
    backbone = tmp_path / "backbone"
    task.backbone.save_to_preset(backbone)
    with pytest.raises(ValueError, match="Expected `labels`"):
        ConvBertTokenClassifier.from_preset(backbone)


@pytest.mark.once
@pytest.mark.long
def test_datasets_train_it(tmp_path):
    import tensorflow as tf

    words, labels = sentences()
    arguments = (tf.ragged.constant(words), tf.ragged.constant(labels))
    task = tagger()
    dataset = tf.data.Dataset.from_tensor_slices(arguments).batch(5)
    task.fit(dataset, verbose=0, validation_data=dataset)
    task.fit(*arguments, batch_size=5, verbose=0)
    task.fit(words, labels, validation_split=0.25, verbose=0)
    found = task.predict_labels(arguments[0])
    assert found == task.predict_labels(words)


@pytest.mark.once
def test_nothing_is_nothing():
    task = tagger()
    assert task.predict_labels([[]]) == [[]]
    assert task.predict_labels([]) == []
    task.fit([[], ["a"]], [[], ["O"]], verbose=0)
    with pytest.raises(ValueError, match="with a preprocessor"):
        tagger(preprocessor=None).predict_labels([["a"]])


@pytest.mark.once
@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ("O B-A I-A O", [("A", 1, 3)]),
        ("I-A I-B I-B", [("A", 0, 1), ("B", 1, 3)]),
        ("B-A B-A E-A S-B", [("A", 0, 1), ("A", 1, 3), ("B", 3, 4)]),
        ("E-A I-A L-A U-A", [("A", 0, 1), ("A", 1, 3), ("A", 3, 4)]),
        ("O I B I", [("", 1, 2), ("", 2, 4)]),
        ("", []),
    ],
)
def test_spans(labels, spans):
    assert entity_spans(labels.split()) == spans


@pytest.mark.once
def test_spans_are_those_that_the_metric_counts():
    generator = np.random.default_rng(0)
    tags = ["O"] + [f"{p}-{kind}" for p in "BIESLU" for kind in ("A", "B")]
    tables = tag_tables(tags)
    ids = generator.integers(len(tags), size=(500, 9)).astype("int32")
    starts, ends, _ = map(to_numpy, find_spans(ids, tables))
    for row, start, end in zip(ids, starts, ends, strict=True):
        wanted = [(i, end[i]) for i in np.flatnonzero(start)]
        spans = entity_spans([tags[i] for i in row])
        assert [(span.start, span.end) for span in spans] == wanted
        for span in spans:
            assert tags[row[span.start]].endswith(f"-{span.label}")
