"""Answers in the forms of SQuAD and of the libraries that read it."""

import datasets
import keras
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from keras_convbert.text.answer_spans import answers_in_graph
from tests.models.convbert import tasks
from tests.models.convbert.test_question_answerer import answerer
from tests.models.convbert.test_question_answerer import preprocessor

X = (["a", "b", "c"], ["c d e", "d e", "e c d"])
ONE = {"text": ["d e", "", "c"], "answer_start": [2, -1, 2]}
LISTS = {
    "text": [["d e", "c"], [], ["c"]],
    "answer_start": [[2, 0], [], [2]],
}
RECORDS = [
    {"text": text, "answer_start": start}
    for text, start in zip(*LISTS.values(), strict=True)
]
SQUAD_JSON = [
    [
        {"text": text, "answer_start": start}
        for text, start in zip(*record.values(), strict=True)
    ]
    for record in RECORDS
]
FORMS = {
    "lists": LISTS,
    "equal lists": {
        "text": [["d e"], [""], ["c"]],
        "answer_start": [[2], [0], [2]],
    },
    "arrays": {
        "text": [np.array(row, object) for row in LISTS["text"]],
        "answer_start": [np.array(row, int) for row in LISTS["answer_start"]],
    },
    "records": RECORDS,
    "records of one": [
        {"text": text, "answer_start": start}
        for text, start in zip(*ONE.values(), strict=True)
    ],
    "json": SQUAD_JSON,
    "datasets": datasets.Dataset.from_dict({"a": RECORDS})["a"],
    "datasets lists": datasets.Dataset.from_dict({"a": SQUAD_JSON})["a"],
    "pandas": pd.Series(RECORDS),
    "polars": pl.Series(RECORDS),
    "pyarrow": pa.array(RECORDS),
}


@pytest.mark.once
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_first_answers(form):
    layer = preprocessor()
    wanted = layer(x=X, y=ONE)
    assert wanted[1]["start_positions"].tolist() == [4, 0, 4]
    tasks.assert_same_arrays(layer(x=X, y=FORMS[form]), wanted)


@pytest.mark.once
@pytest.mark.parametrize("form", ["lists", "datasets"])
def test_training_reads_every_form(form):
    def history(y):
        keras.utils.set_random_seed(1)
        task = answerer({"num_layers": 1, "hidden_dim": 8})
        return task.fit(X, y, validation_data=(X, y), verbose=0).history

    assert history(FORMS[form]) == history(ONE)


@pytest.mark.once
@pytest.mark.parametrize("form", ["lists", "json", "arrays", "polars"])
def test_samples_of_every_form_are_split(form):
    task = answerer({"num_layers": 1, "hidden_dim": 8})
    history = task.fit(X, FORMS[form], validation_split=0.4, verbose=0).history
    assert "val_loss" in history


@pytest.mark.once
def test_a_graph_reads_lists():
    import tensorflow as tf

    wanted = preprocessor()(x=X, y=ONE)
    ragged = {key: tf.ragged.constant(rows) for key, rows in LISTS.items()}
    padded = {
        "text": tf.constant([["d e", "c"], ["", ""], ["c", ""]]),
        "answer_start": tf.constant([[2, 0], [0, 0], [2, 0]]),
    }
    nothing = {
        "text": tf.constant([[""], [""], [""]])[:, :0],
        "answer_start": tf.zeros([3, 0], "int32"),
    }
    dataset = tf.data.Dataset.from_tensor_slices((X, ragged)).batch(3)
    (found,) = dataset.map(preprocessor())
    tasks.assert_same_arrays(found, wanted)
    contexts = tf.constant(X[1])
    for y, spans in (
        (padded, [[2, -1, 2], [5, -1, 3]]),
        (nothing, [[-1] * 3] * 2),
    ):
        found = answers_in_graph(contexts, y)
        assert [part.numpy().tolist() for part in found] == spans


BAD = [
    ({"text": [["d"], [], []], "answer_start": [[0], [], []]}, "sample 0 has"),
    (
        {"text": [[], ["d"], []], "answer_start": [[], [], []]},
        "1 texts and 0 starts in sample 1",
    ),
    ([*RECORDS[:2], {"text": ["c"]}], r"Received: y\[2\]=\{'text'"),
    ([*RECORDS[:2], "c"], r"Received: y\[2\]='c'"),
    (RECORDS[:2], "3 contexts, answers for 2"),
    (
        {"text": ["d e", None, "c"], "answer_start": [2, 0, 2]},
        "None at 0 in sample 1",
    ),
    (
        {"text": ["d e", "d", "c"], "answer_start": [2, None, 2]},
        "'d' at None in sample 1",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("y", "message"), BAD)
def test_errors_name_the_sample(y, message):
    with pytest.raises(ValueError, match=message):
        preprocessor()(x=X, y=y)
