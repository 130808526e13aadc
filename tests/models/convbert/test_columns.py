"""Columns of data libraries train every task as lists do."""

import collections
import functools

import datasets
import keras
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertQuestionAnswererPreprocessor
from keras_convbert.models import ConvBertTextEmbedder
from keras_convbert.models import ConvBertTextEmbedderPreprocessor
from keras_convbert.models import ConvBertTokenClassifier
from keras_convbert.models import ConvBertTokenClassifierPreprocessor
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert import tiny

TEXTS = ["a b", "c", "d e a", "b", "e", "a c"]
LABELS = ["O", "B-X"]
SENTENCES = [text.split() for text in TEXTS]
TAGS = [[i % 2 for i, _ in enumerate(row)] for row in SENTENCES]
BACKBONE = {"num_layers": 1, "hidden_dim": 8, "intermediate_dim": 8}

KINDS = {
    "datasets": lambda c: datasets.Dataset.from_dict({"column": c})["column"],
    "polars": pl.Series,
    "pandas": lambda c: pd.Series(c, index=range(5, 5 + len(c))),
    "pyarrow": lambda c: pa.chunked_array([c[:2], c[2:]]),
    "numpy": lambda c: np.array([*c, None], object)[:-1],
    "tuple": tuple,
    "sequence": collections.UserList,
}


def tagger():
    preprocessor = ConvBertTokenClassifierPreprocessor(
        texts.tokenizer(), LABELS, sequence_length=6
    )
    return tiny.eagerly_on_tensorflow(
        ConvBertTokenClassifier(
            tasks.backbone(**BACKBONE), LABELS, preprocessor=preprocessor
        )
    )


def answerer():
    preprocessor = ConvBertQuestionAnswererPreprocessor(
        texts.tokenizer(), sequence_length=12, max_question_length=4
    )
    return tiny.eagerly_on_tensorflow(
        ConvBertQuestionAnswerer(
            tasks.backbone(**BACKBONE), preprocessor=preprocessor
        )
    )


def embedder():
    task = ConvBertTextEmbedder(
        tasks.backbone(**BACKBONE),
        preprocessor=ConvBertTextEmbedderPreprocessor(
            texts.tokenizer(), sequence_length=6
        ),
    )
    task.compile("adam", loss="mse")
    return tiny.eagerly_on_tensorflow(task)


WEIGHTS = [1.0, 0.5, 2.0, 1.0, 3.0, 1.0]
ANSWERS = {"text": [t[:1] for t in TEXTS], "answer_start": [0] * 6}
# A task, x, y and sample weights, all as lists.
CASES = {
    "classifier": (
        functools.partial(tasks.classifier, 2, BACKBONE),
        TEXTS,
        [0, 1, 0, 1, 1, 0],
        WEIGHTS,
    ),
    "pairs": (
        functools.partial(tasks.classifier, 2, BACKBONE),
        (TEXTS, TEXTS[::-1]),
        [0, 1, 0, 1, 1, 0],
        WEIGHTS,
    ),
    "tagger": (tagger, SENTENCES, TAGS, WEIGHTS),
    "answerer": (answerer, (TEXTS, TEXTS), ANSWERS, WEIGHTS),
    "embedder": (embedder, TEXTS, [[0.5] * 8] * 6, WEIGHTS),
    "masked_lm": (
        functools.partial(tasks.masked_lm, BACKBONE),
        TEXTS,
        None,
        WEIGHTS,
    ),
    "pretrainer": (
        functools.partial(tasks.pretrainer, BACKBONE),
        TEXTS,
        None,
        WEIGHTS,
    ),
}


def convert(kind, part):
    if part is None:
        return None
    if isinstance(part, tuple):
        return tuple(convert(kind, column) for column in part)
    if isinstance(part, dict):
        return {name: convert(kind, column) for name, column in part.items()}
    return KINDS[kind](part)


@functools.cache
def trained(case, kind=None):
    """The history and the results of a task on columns of a kind."""
    make, *parts = CASES[case]
    if kind is not None:
        parts = [convert(kind, part) for part in parts]
    x, y, weights = parts
    keras.utils.set_random_seed(1)
    task = make()
    history = task.fit(
        x,
        y,
        batch_size=3,
        sample_weight=weights,
        validation_split=0.5,
        verbose=0,
    ).history
    evaluated = task.evaluate(x, y, sample_weight=weights, verbose=0)
    if case in ("masked_lm", "pretrainer"):
        return history, evaluated, None
    outputs = task.predict(x, batch_size=6, verbose=0)
    return history, evaluated, keras.tree.flatten(outputs)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("tagger", "datasets"),
        *(
            pytest.param(case, "datasets", marks=pytest.mark.once)
            for case in CASES
            if case != "tagger"
        ),
        *(
            pytest.param(case, kind, marks=pytest.mark.once)
            for case, kind in (("pairs", "numpy"), ("tagger", "pandas"))
        ),
        *(
            pytest.param(case, kind, marks=(pytest.mark.once, pytest.mark.long))
            for case, kind in (
                ("pairs", "pandas"),
                ("pairs", "tuple"),
                ("tagger", "numpy"),
                ("tagger", "tuple"),
            )
        ),
        pytest.param("embedder", "tuple", marks=pytest.mark.once),
    ],
)
def test_columns_train_as_lists_do(case, kind):
    history, evaluated, outputs = trained(case, kind)
    wanted, wanted_evaluated, wanted_outputs = trained(case)
    assert history == wanted
    assert "val_loss" in history
    np.testing.assert_array_equal(evaluated, wanted_evaluated)
    if outputs is not None:
        tasks.assert_same_arrays(outputs, wanted_outputs)


@pytest.mark.once
@pytest.mark.parametrize("kind", ["pyarrow", "polars", "tuple"])
def test_predictions_of_columns(kind):
    assert len(tagger().predict_labels(convert(kind, SENTENCES))) == 6
    column = convert(kind, TEXTS)
    assert len(answerer().predict_answers(column, column)) == 6
    filled = convert(kind, ["a [MASK]", "[MASK] b"])
    assert len(tasks.masked_lm(BACKBONE).fill_mask(filled)) == 2
    task = tasks.classifier(2, BACKBONE)
    if kind != "tuple":  # of strings, which is a pair outside of `fit`
        assert task.predict_on_batch(column).shape == (6, 2)
        assert task.preprocessor(column)["token_ids"].shape == (6, 8)
    task.fit(
        TEXTS,
        convert(kind, [0, 1] * 3),
        validation_data=(column, convert(kind, [0, 1] * 3)),
        verbose=0,
    )


def shown(x, y):
    """The first texts of batches of two epochs of `fit`."""
    task = tasks.classifier(2, BACKBONE)
    rows = []
    task.compile(run_eagerly=True)
    step = task.train_step

    def spy(data):
        rows.append(np.asarray(data[0]["token_ids"])[:, 1].tolist())
        return step(data)

    task.train_step = spy
    task.fit(x, y, batch_size=3, epochs=2, verbose=0)
    return rows


@pytest.mark.once
@pytest.mark.parametrize("kind", ["datasets", "sequence"])
def test_columns_are_shuffled_in_each_epoch(kind):
    labels = [0] * 3 + [1] * 3
    keras.utils.set_random_seed(0)
    wanted = shown(TEXTS, labels)
    keras.utils.set_random_seed(0)
    found = shown(convert(kind, TEXTS), convert(kind, labels))
    assert found == wanted
    assert found[:2] != found[2:]


TABLES = [
    pd.DataFrame({"text": TEXTS}),
    pl.DataFrame({"text": TEXTS}),
    pa.table({"text": TEXTS}),
    datasets.Dataset.from_dict({"text": TEXTS}),
    datasets.DatasetDict(
        {"train": datasets.Dataset.from_dict({"text": TEXTS})}
    ),
]


@pytest.mark.once
@pytest.mark.parametrize("table", TABLES, ids=lambda t: type(t).__name__)
def test_tables_are_refused(table):
    task = tasks.classifier(2, BACKBONE)
    for call in (task.fit, task.evaluate, task.predict):
        with pytest.raises(ValueError, match=r"Expected columns, such as"):
            call(table)


@pytest.mark.once
def test_columns_that_do_not_fit_are_refused():
    task = tasks.classifier(2, BACKBONE)
    column = convert("datasets", TEXTS)
    with pytest.raises(ValueError, match=r"same number.*\[5, 6\] samples"):
        task.fit(column, pl.Series([0] * 5), verbose=0)
    missing = pd.Series(["a", None])
    with pytest.raises(ValueError, match=r"missing.*Received: x\[1\]=None"):
        task.fit(missing, [0, 1])
    with pytest.raises(ValueError, match=r"missing.*Received: x\[1\]=None"):
        task.predict(missing)
    labels = pd.Series([0, None], dtype="Int64")
    with pytest.raises(ValueError, match=r"missing.*Received: y\[1\]=None"):
        task.fit(["a", "b"], labels)
    task.preprocessor = None
    with pytest.raises(ValueError, match="task has no preprocessor"):
        task.fit(column, [0] * 6)
