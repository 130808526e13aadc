"""Whatever the bytes, a servable answers, and as the model does."""

import numpy as np
import pytest
import tensorflow as tf

from tests.export.hostile_strings import strings

BATCH = 100
pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "number", [1000, pytest.param(10_000, marks=pytest.mark.long)]
)
def test_classes_are_those_of_predict(served, number):
    model, folder = served("classifier")
    texts = strings(number)
    serve = folder.signatures["text"]
    batches = [texts[i : i + BATCH] for i in range(0, number, BATCH)]
    found = [serve(text=tf.constant(batch))["logits"] for batch in batches]
    data = tf.data.Dataset.from_tensor_slices(texts).batch(BATCH)
    wanted = model.predict(data, verbose=0)
    np.testing.assert_allclose(np.concatenate(found), wanted, atol=2e-6)


def readable(texts):
    """As Python's path gets them: what is no UTF-8 replaced."""
    return [text.decode(errors="replace") for text in texts]


def test_words_have_the_labels_that_python_gives_them(served):
    model, folder = served("tagger")
    texts = strings(308)
    # As strings of a million characters, of which Python's path takes minutes.
    texts = [text for text in texts if len(text) < 10_000]
    serve = folder.signatures["tokens"]
    for batch in (texts[i : i + BATCH] for i in range(0, len(texts), BATCH)):
        found = {
            k: v.numpy()
            for k, v in serve(text=tf.constant(readable(batch))).items()
        }
        sentences, tags = [], []
        for number, text in enumerate(readable(batch)):
            count = (found["start"][number] >= 0).sum()
            spans = zip(
                found["start"][number][:count],
                found["end"][number][:count],
                strict=True,
            )
            sentences.append([text[start:end] for start, end in spans])
            tags.append([t.decode() for t in found["label"][number][:count]])
        assert model.predict_labels(sentences) == tags


def test_answers_are_those_of_python(served):
    model, folder = served("answerer")
    texts = [t for t in readable(strings(208)) if len(t) < 3000]
    questions = readable(strings(len(texts), seed=1))[::-1]
    questions = [question[:100] for question in questions]
    found = folder.signatures["question_answer"](
        question=tf.constant(questions), context=tf.constant(texts)
    )
    wanted = model.predict_answers(questions, texts)
    for key in ("start", "end"):
        assert found[key].numpy().tolist() == [a[key] for a in wanted]
    answers = [text.decode() for text in found["text"].numpy()]
    assert answers == [answer["text"] for answer in wanted]


@pytest.mark.parametrize(
    ("name", "signature", "names"),
    [
        ("tagger", "tokens", ["text"]),
        ("answerer", "question_answer", ["question", "context"]),
    ],
)
def test_bytes_of_any_kind_are_answered(served, name, signature, names):
    serve = served(name)[1].signatures[signature]
    for text in [*strings(4), *strings(40)[8:], b"good " * 4_000]:
        outputs = serve(**dict.fromkeys(names, tf.constant([text])))
        assert all(len(value) == 1 for value in outputs.values())
        for value in outputs.values():
            if value.dtype.is_floating:
                assert np.isfinite(value).all()
