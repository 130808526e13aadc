"""Words of 10,000 characters, texts of 100,000 words, beside short ones."""

import numpy as np
import pytest

from tests.models.convbert import tasks
from tests.models.convbert import test_question_answerer as questions
from tests.models.convbert import test_token_classifier as words

LONG_WORD = "a" * 10_000
LONG_TEXT = "a c d " * 33_333
ANSWER = {"text": "É pb", "answer_start": len(LONG_TEXT)}
SENTENCES = [[], ["a"], [LONG_WORD, "b"], ["ab", "c"] * 20, ["b"] * 3]


def in_graph(layer, x, y):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(len(SENTENCES))
    (found,) = dataset.map(layer)
    return found


def test_classifier():
    task = tasks.classifier()
    mixed = [LONG_WORD, LONG_TEXT, "", "a b", f"a {LONG_WORD} b"]
    together = task.predict(mixed, verbose=0)
    assert np.isfinite(together).all()
    for text, logits in zip(mixed, together, strict=True):
        alone = task.predict([text], verbose=0)
        np.testing.assert_allclose(alone, logits[None], atol=1e-5)


def test_tagger():
    task = words.tagger()
    together = task.predict_labels(SENTENCES)
    assert [len(found) for found in together] == [0, 1, 2, 40, 3]
    for sentence, labels in zip(SENTENCES, together, strict=True):
        assert task.predict_labels([sentence]) == [labels]


@pytest.mark.once
def test_rows_of_tags_in_a_graph():
    import tensorflow as tf

    labels = [[1] * len(sentence) for sentence in SENTENCES]
    layer = words.preprocessor()
    found = in_graph(
        layer,
        tf.ragged.constant(SENTENCES),
        tf.ragged.constant(labels, dtype=tf.int32),
    )
    tasks.assert_same_arrays(found, layer(x=SENTENCES, y=labels))
    assert float(np.sum(found[2])) == 46


@pytest.mark.long
def test_answerer():
    task = questions.answerer(
        {"max_sequence_length": 512},
        preprocessor=questions.preprocessor(sequence_length=512, stride=256),
    )
    contexts = [f"{LONG_TEXT}É pb", f"c {LONG_WORD}", "É", ""]
    together = task.predict_answers(["o"] * 4, contexts)
    for context, found in zip(contexts, together, strict=True):
        assert found["text"] == context[found["start"] : found["end"]]
        (alone,) = task.predict_answers(["o"], [context])
        assert alone["text"] == found["text"]


@pytest.mark.long
@pytest.mark.once
def test_rows_of_answers_in_a_graph():
    contexts = [f"{LONG_TEXT}É pb", f"c {LONG_WORD}", "É", ""]
    answers = [ANSWER, {"text": "c", "answer_start": 0}]
    answers += [{"text": "", "answer_start": -1}] * 2
    y = {name: [one[name] for one in answers] for name in ANSWER}
    layer = questions.preprocessor(sequence_length=512, stride=256)
    x = (["o"] * 4, contexts)
    wanted = layer(x=x, y=y)
    tasks.assert_same_arrays(in_graph(layer, x, y), wanted)
    places = wanted[1]["start_positions"]
    assert len(places) > 300
    row = np.flatnonzero(places)[0]
    answer = wanted[0]["token_ids"][row, places[row]]
    assert questions.VOCABULARY[answer] == "e"
