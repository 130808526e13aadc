import math

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertQuestionAnswererPreprocessor
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.text.answer_search import candidates
from keras_convbert.text.answer_spans import answers_in_graph
from keras_convbert.text.question_windows import QuestionWindow
from keras_convbert.text.windows import Window
from tests.models.convbert import tasks
from tests.models.convbert import texts

HEADS = ["linear", "joint"]
LENGTH = 16
VOCABULARY = [*texts.VOCABULARY, "##a", "##b"]


def preprocessor(**options):
    lengths = {"sequence_length": LENGTH, "stride": 4, "max_question_length": 3}
    return ConvBertQuestionAnswererPreprocessor(
        ConvBertTokenizer(VOCABULARY), **{**lengths, **options}
    )


def answerer(backbone_options=None, **options):
    backbone = tasks.tiny.backbone(
        vocabulary_size=len(VOCABULARY), **(backbone_options or {})
    )
    task = ConvBertQuestionAnswerer(
        backbone, **{"preprocessor": preprocessor(), **options}
    )
    return tasks.tiny.eagerly_on_tensorflow(task)


def samples(count=12, longest=25, seed=0):
    """Questions by a letter, whose answer is the pair that starts with it."""
    generator = np.random.default_rng(seed)
    questions, contexts, found = [], [], []
    for _ in range(count):
        letters = generator.choice([*"cdefgh"], generator.integers(1, longest))
        place = generator.integers(len(letters))
        words = [*letters[:place], "É", "pb", *letters[place:]]
        context = "  ".join(words)
        questions.append("o")
        contexts.append(context)
        found.append(context.index("É"))
    answers = {"text": ["É  pb"] * count, "answer_start": found}
    return questions, contexts, answers


@pytest.mark.once
def test_answers_become_places():
    questions = ["a b c d", "a", "a"]
    contexts = ["Éa b  pb.", "c d", "e f"]
    answers = {"text": ["b  pb", "", "f"], "answer_start": [3, -1, 2]}
    x, y = preprocessor()(x=(questions, contexts), y=answers)
    tokens = "[CLS] a b c [SEP] e ##a b p ##b [UNK] [SEP]".split()
    row = x["token_ids"][0].tolist()
    assert row[:12] == [VOCABULARY.index(token) for token in tokens]
    assert row[12:] == [0] * 4
    assert x["segment_ids"][0].tolist() == [0] * 5 + [1] * 7 + [0] * 4
    assert x["padding_mask"][0].tolist() == [1] * 12 + [0] * 4
    assert y["start_positions"].tolist() == [7, 0, 4]
    assert y["end_positions"].tolist() == [9, 0, 4]


@pytest.mark.once
@pytest.mark.parametrize("stride", [2, 4, 16])
def test_places_name_the_answer_in_some_window(stride):
    layer = preprocessor(stride=stride)
    questions, contexts, answers = samples()
    windows = layer.windows((questions, contexts))
    assert len(windows) > len(questions)
    _, positions, _ = layer.to_windows((questions, contexts), answers)
    found = set()
    for window, start, end in zip(windows, *positions.values(), strict=True):
        if start:
            first, last = start - window.offset, end - window.offset
            span = slice(window.starts[first], window.ends[last])
            assert contexts[window.sample][span] == "É  pb"
            found.add(window.sample)
    assert stride > 4 or found == set(range(len(questions)))


@pytest.mark.once
@pytest.mark.parametrize("stride", [2, 16])
def test_a_graph_makes_the_same_rows(stride):
    import tensorflow as tf

    questions, contexts, answers = samples()
    questions[2], contexts[3], contexts[4] = "a b c d e f", "", "中文。\u0301"
    answers["text"][3] = answers["text"][4] = ""
    weights = np.arange(12.0) / 4
    layer = preprocessor(stride=stride)
    wanted = layer(x=(questions, contexts), y=answers, sample_weight=weights)
    data = ((questions, contexts), answers, weights)
    (found,) = tf.data.Dataset.from_tensor_slices(data).batch(12).map(layer)
    tasks.assert_same_arrays(found, wanted)


BAD = [
    ((["a"], ["b"]), {"text": ["a"], "answer_start": [0]}, "'a' at 0.*has 'b'"),
    ((["a"], ["b"]), {"text": ["b"], "answer_start": [-1]}, "'b' at -1"),
    ((["a"], ["b"]), {"text": ["b"], "answer_start": [9]}, "'b' at 9"),
    ((["a"], ["b"]), {"text": ["b"]}, "dict of"),
    ((["a"], ["b"]), ["b"], "dict of"),
    ((["a"], ["b"]), {"text": [], "answer_start": []}, "1 contexts, 0 texts"),
    (["a"], None, "tuple of two"),
    (("a", "b"), None, "list of strings"),
    (([1], ["b"]), None, "list of strings"),
    ((["a"], ["\ud800"]), None, "surrogates"),
]


@pytest.mark.once
@pytest.mark.parametrize(("x", "y", "message"), BAD)
def test_what_does_not_fit_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        preprocessor()(x=x, y=y)


@pytest.mark.once
def test_a_graph_refuses_answers_that_are_not_there():
    import tensorflow as tf

    for start in (0, -1, 9):
        y = {"text": tf.constant(["b"]), "answer_start": tf.constant([start])}
        error = tf.errors.InvalidArgumentError
        with pytest.raises(error, match="answer_start"):
            answers_in_graph(tf.constant(["cb"]), y)


@pytest.mark.once
def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="max_question_length"):
        preprocessor(sequence_length=6)
    with pytest.raises(ValueError, match="stride"):
        preprocessor(stride=0)
    with pytest.raises(ValueError, match="head='other'"):
        answerer(head="other")
    with pytest.raises(ValueError, match="no argument `loss`"):
        answerer().compile(loss="mse")
    with pytest.raises(ValueError, match="1 questions and 2 contexts"):
        answerer().predict_answers(["a"], ["b", "c"])
    with pytest.raises(ValueError, match="n_best=0"):
        answerer().predict_answers(["a"], ["b"], n_best=0)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    "dtype",
    ["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.long)],
)
def test_it_learns_what_is_asked(head, dtype, tmp_path):
    options = {"dtype": dtype, "dropout": 0.0, "attention_dropout": 0.0}
    task = answerer(backbone_options=options, head=head)
    task.compile(keras.optimizers.Adam(0.01))
    questions, contexts, answers = samples(24)
    history = task.fit(
        (questions, contexts),
        answers,
        batch_size=16,
        epochs=4,
        verbose=0,
        validation_data=((questions, contexts), answers),
    ).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert {"start_accuracy", "val_end_accuracy"} <= history.keys()
    questions, contexts, answers = samples(6, seed=1)
    found = task.predict_answers(questions, contexts)
    right = [answer["text"] == "É  pb" for answer in found]
    assert np.mean(right) > 0.6
    for answer, context in zip(found, contexts, strict=True):
        assert context[answer["start"] : answer["end"]] == answer["text"]
        assert 0 < answer["score"] <= 1

    task.save(tmp_path / "answerer.keras")
    task.save_to_preset(tmp_path / "answerer")
    for other in (
        keras.saving.load_model(tmp_path / "answerer.keras"),
        ConvBertQuestionAnswerer.from_preset(
            tmp_path / "answerer", dtype=dtype
        ),
    ):
        assert other.head == head
        assert other.predict_answers(questions, contexts) == found


@pytest.mark.once
@pytest.mark.parametrize("head", HEADS)
def test_one_or_many_or_none(head):
    task = answerer(head=head)
    questions, contexts, _ = samples(4)
    one = task.predict_answers(questions, contexts)
    many = task.predict_answers(questions, contexts, n_best=3, batch_size=1)
    most = task.predict_answers(questions, contexts, n_best=50)
    for best, answers, all_found in zip(one, many, most, strict=True):
        assert answers[0]["text"] == best["text"]
        np.testing.assert_allclose(
            all_found[0]["score"], best["score"], atol=1e-5
        )
        scores = [answer["score"] for answer in answers]
        assert scores == sorted(scores, reverse=True)
        places = [(answer["start"], answer["end"]) for answer in answers]
        assert len({*places}) == len(places) == 3
    short = task.predict_answers(
        questions, contexts, n_best=20, max_answer_length=1
    )
    assert all(
        len(answer["text"]) <= 2 for answers in short for answer in answers
    )
    nothing = {"text": "", "start": 0, "end": 0, "score": 1.0}
    for threshold, wanted in ((-np.inf, [nothing] * 4), (np.inf, one)):
        found = task.predict_answers(questions, contexts, threshold=threshold)
        assert found == wanted
    assert task.predict_answers(["a"], [""])[0]["text"] == ""
    assert task.predict_answers([], []) == []


@pytest.mark.once
def test_the_end_follows_the_start():
    """Hand-worked: start, end and length limit over a window of four."""
    row = QuestionWindow(
        sample=0,
        question=np.array([7]),
        context=np.array([8, 9, 10, 11]),
        starts=np.array([0, 2, 4, 6]),
        ends=np.array([1, 3, 5, 7]),
        window=Window(start=5, end=9, first=6, last=8),
    )
    start = np.array([9.0, 0, 0, 1, 2, 3, 4, 0])
    end = np.array([9.0, 0, 9, 5, 1, 7, 2, 9])
    best = [*np.argsort(-start, kind="stable")]
    found = candidates(row, start, [(i, end) for i in best], 2)
    assert sorted(found, reverse=True) == [
        (10.0, 4, 5),
        (9.0, 2, 5),
        (5.0, 4, 7),
        (3.0, 2, 3),
    ]


def test_the_joint_head_is_the_authors():
    """`dense(gelu(dense(concatenate)))` by one matrix, in NumPy."""
    task = answerer(head="joint", backbone_options={"dropout": 0.0})
    generator = np.random.default_rng(0)
    for weight in task.end.weights:
        weight.assign(generator.normal(size=weight.shape, scale=0.3))
    x = preprocessor()(x=(["o"], ["c d e f"]))
    outputs = {
        name: np.asarray(keras.ops.convert_to_numpy(value))
        for name, value in task(x, training=False).items()
    }
    hidden = outputs["sequence_output"]
    allowed = [0, 3, 4, 5, 6, 7]
    excluded = np.setdiff1d(np.arange(LENGTH), allowed)
    assert (outputs["start_logits"][0, excluded] == -1000).all()
    assert (outputs["start_logits"][0, allowed] > -100).all()
    starts = outputs["starts"][0]
    order = np.argsort(-outputs["start_logits"][0], kind="stable")
    assert starts[:6].tolist() == order[:6].tolist()
    end = task.end
    weights = [
        np.array(keras.ops.convert_to_numpy(w))
        for w in (
            end.of_start.kernel,
            end.of_token.kernel,
            end.of_token.bias,
            end.score.kernel,
            end.score.bias,
        )
    ]
    kernel = np.concatenate(weights[:2])
    erf = np.vectorize(math.erf)
    for i, start in enumerate(starts[:6]):
        pair = np.concatenate(
            [np.repeat(hidden[0, start][None], LENGTH, 0), hidden[0]], axis=1
        )
        inner = pair @ kernel + weights[2]
        inner = 0.5 * inner * (1 + erf(inner / np.sqrt(2)))
        wanted = (inner @ weights[3] + weights[4])[:, 0]
        np.testing.assert_allclose(
            outputs["end_logits"][0, i],
            wanted,
            rtol=1e-4,  # `pair @ kernel` is two products, summed apart
            atol=1e-4,  # values near 0 are such sums, too
        )


@pytest.mark.once
@pytest.mark.long
def test_datasets_train_it():
    import tensorflow as tf

    questions, contexts, answers = samples()
    task = answerer()
    data = ((questions, contexts), answers)
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(5)
    task.fit(dataset, verbose=0, validation_data=dataset)
    task.fit(*data, validation_split=0.25, verbose=0)
    names = [metric.name for metric in task.metrics]
    assert names == ["loss", "start_accuracy", "end_accuracy"]
