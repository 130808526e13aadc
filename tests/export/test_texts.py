"""Windows, words and answers in the graph, beside those of Python."""

import numpy as np
import pytest

from tests.export.test_saved_model import answers

TEXTS = [
    "a good film",
    "Bad\0 films!",
    "",
    "Café 電影",
    "good film, bad! " * 30,
    " the a",
]
QUESTIONS = ["the film", "", "good films", "a", "bad", "good bad the film a"]
pytestmark = pytest.mark.once


def words_of(found, number):
    """What a reply to `tokens` says of a text."""
    count = (found["start"][number] >= 0).sum()
    assert (found["label"][number][count:] == b"").all()
    assert (found["end"][number][count:] == -1).all()
    return {name: values[number][:count] for name, values in found.items()}


def test_each_word_has_the_label_that_python_gives_it(served):
    model, folder = served("tagger")
    found = answers(folder, "tokens", text=TEXTS)
    labels = set()
    for number, text in enumerate(TEXTS):
        of_text = words_of(found, number)
        words = [
            text[start:end]
            for start, end in zip(of_text["start"], of_text["end"], strict=True)
        ]
        wanted = model.predict_labels([words])[0]
        assert [label.decode() for label in of_text["label"]] == wanted
        assert (of_text["probability"] > 1 / 3 - 1e-6).all()
        labels |= set(wanted)
    assert len(labels) > 1
    first = words_of(found, 3)
    assert first["start"].tolist() == [0, 5, 6]
    assert first["end"].tolist() == [4, 6, 7]


@pytest.mark.parametrize("name", ["answerer", "joint_answerer"])
def test_questions_are_answered_as_by_python(served, name):
    model, folder = served(name)
    found = answers(
        folder, "question_answer", question=QUESTIONS, context=TEXTS
    )
    wanted = model.predict_answers(QUESTIONS, TEXTS)
    for number, answer in enumerate(wanted):
        assert found["text"][number].decode() == answer["text"]
        assert found["start"][number] == answer["start"]
        assert found["end"][number] == answer["end"]
        np.testing.assert_allclose(
            found["score"][number], answer["score"], atol=1e-5
        )
    assert len({answer["text"] for answer in wanted}) > 2


@pytest.mark.parametrize("name", ["answerer", "joint_answerer"])
def test_no_answer_is_what_the_threshold_is_compared_with(served, name):
    model, folder = served(name)
    found = answers(
        folder, "question_answer", question=QUESTIONS, context=TEXTS
    )["no_answer"]
    assert np.isfinite(found).all()
    for i, lead in enumerate(found[found < 1e30]):
        pair = [q for q, f in zip(QUESTIONS, found, strict=True) if f < 1e30][i]
        context = [c for c, f in zip(TEXTS, found, strict=True) if f < 1e30][i]
        for threshold, empty in [(lead - 1e-3, True), (lead + 1e-3, False)]:
            answer = model.predict_answers(
                [pair], [context], threshold=float(threshold)
            )[0]
            assert (answer["text"] == "") == (empty or context == "")


def test_vectors_are_those_of_predict(served):
    model, folder = served("embedder")
    found = answers(folder, "text", text=TEXTS)["embedding"]
    wanted = model.predict(TEXTS, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "signature", "texts"),
    [
        ("classifier", "text", {"text": TEXTS}),
        ("classifier", "text_pair", {"text": TEXTS, "text_pair": QUESTIONS}),
        ("tagger", "tokens", {"text": TEXTS}),
        (
            "answerer",
            "question_answer",
            {"question": QUESTIONS, "context": TEXTS},
        ),
        (
            "joint_answerer",
            "question_answer",
            {"question": QUESTIONS, "context": TEXTS},
        ),
    ],
)
def test_a_batch_is_answered_as_each_alone(served, name, signature, texts):
    _, folder = served(name)
    together = answers(folder, signature, **texts)
    for number in range(len(TEXTS)):
        one = {key: [values[number]] for key, values in texts.items()}
        for key, value in answers(folder, signature, **one).items():
            wanted = together[key][number]
            if value.ndim == 2 and signature == "tokens":
                wanted = wanted[: value.shape[1]]
            if value.dtype.kind == "f":
                np.testing.assert_allclose(value[0], wanted, atol=1e-5)
            else:
                np.testing.assert_array_equal(value[0], wanted)


@pytest.mark.parametrize(
    ("name", "signature", "names"),
    [
        ("tagger", "tokens", ["text"]),
        ("answerer", "question_answer", ["question", "context"]),
        ("joint_answerer", "question_answer", ["question", "context"]),
        ("embedder", "text", ["text"]),
    ],
)
def test_an_empty_batch_has_empty_answers(served, name, signature, names):
    empty = np.array([], dtype="S1")
    found = answers(served(name)[1], signature, **dict.fromkeys(names, empty))
    assert {value.shape[0] for value in found.values()} == {0}
