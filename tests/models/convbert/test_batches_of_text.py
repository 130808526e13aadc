"""Batches of text from any source train as samples in memory do."""

import functools

import keras
import numpy as np
import polars as pl
import pytest

from tests.models.convbert import tasks
from tests.models.convbert.test_columns import BACKBONE
from tests.models.convbert.test_columns import CASES
from tests.models.convbert.test_columns import TEXTS
from tests.models.convbert.test_columns import WEIGHTS

SIZE = 3


class Batches(keras.utils.PyDataset):
    def __init__(self, batches, **options):
        super().__init__(**options)
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


class Reiterable:
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


def loader(batches):
    from torch.utils.data import DataLoader

    return DataLoader(batches, batch_size=None, collate_fn=lambda b: b)


SOURCES = {
    "PyDataset": Batches,
    "workers": functools.partial(Batches, workers=2),
    "generator": lambda batches: (batch for batch in batches),
    "DataLoader": loader,
    "iterable": Reiterable,
}


def part_of(part, first):
    if isinstance(part, tuple):
        return tuple(part_of(column, first) for column in part)
    if isinstance(part, dict):
        return {name: part_of(column, first) for name, column in part.items()}
    return None if part is None else part[first : first + SIZE]


def batches_of(*parts):
    return [
        tuple(part_of(part, first) for part in parts)
        for first in range(0, len(TEXTS), SIZE)
    ]


@functools.cache
def trained(case, source=None):
    make, *parts = CASES[case]
    keras.utils.set_random_seed(1)
    task = make()
    options = {"shuffle": False, "verbose": 0}
    steps = {"steps": 2} if source == "generator" else {}
    if source is None:
        x, y, weights = parts
        validation = (x, y, weights)
        data = {"x": x, "y": y, "sample_weight": weights, "batch_size": SIZE}
        evaluated = data
    else:
        batches = batches_of(*parts)
        validation, data, evaluated = (
            SOURCES[source](batches) for _ in range(3)
        )
        data, evaluated = {"x": data}, {"x": evaluated}
    if steps:
        options |= {"steps_per_epoch": 2, "validation_steps": 2}
    history = task.fit(**data, **options, validation_data=validation).history
    found = task.evaluate(**evaluated, **steps, verbose=0)
    outputs = None
    if case not in ("masked_lm", "pretrainer"):
        if source is None:
            x = parts[0]
        else:
            x = SOURCES[source]([(b[0],) for b in batches])
        outputs = keras.tree.flatten(task.predict(x, **steps, verbose=0))
    return history, found, outputs


@pytest.mark.parametrize(
    ("case", "source"),
    [
        ("pairs", "PyDataset"),
        *(
            pytest.param(case, "PyDataset", marks=pytest.mark.once)
            for case in CASES
            if case == "tagger"
        ),
        *(
            pytest.param(
                case, "PyDataset", marks=(pytest.mark.once, pytest.mark.long)
            )
            for case in CASES
            if case in ("answerer", "pretrainer")
        ),
        # On PyTorch a `DataLoader` draws from the generator of dropout.
        *(
            pytest.param(case, source, marks=pytest.mark.once)
            for case in ("pairs",)
            for source in ("workers", "generator", "DataLoader")
        ),
    ],
)
def test_batches_train_as_samples_do(case, source):
    history, evaluated, outputs = trained(case, source)
    wanted, wanted_evaluated, wanted_outputs = trained(case)
    assert history.keys() == wanted.keys()
    for name, values in wanted.items():
        # The mean over two validation runs differs in the order of sums.
        np.testing.assert_allclose(history[name], values, rtol=1e-5)
    np.testing.assert_allclose(evaluated, wanted_evaluated, rtol=1e-5)
    if outputs is not None:
        for one, other in zip(outputs, wanted_outputs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.once
@pytest.mark.parametrize("source", ["workers", "iterable"])
def test_masked_tokens_are_weighted_in_batches(source):
    task = tasks.masked_lm(BACKBONE)
    batches = batches_of(TEXTS, None, WEIGHTS)
    history = task.fit(
        SOURCES[source](batches), steps_per_epoch=2, verbose=0
    ).history
    assert history["loss"][0] > 0
    none = batches_of(TEXTS, None, [0.0] * 6)
    history = task.fit(
        SOURCES[source](none), steps_per_epoch=2, verbose=0
    ).history
    assert history["loss"] == [0.0]


def endless():
    while True:
        yield np.array(["a", "b c"]), np.array([0, 1])


def test_an_endless_generator_trains_for_some_steps():
    task = tasks.classifier(2, BACKBONE)
    task.fit(
        endless(),
        steps_per_epoch=3,
        epochs=2,
        validation_data=endless(),
        validation_steps=2,
        verbose=0,
    )
    assert int(task.optimizer.iterations) == 6
    assert task.predict(endless(), steps=2, verbose=0).shape == (4, 2)


def test_a_data_loader_of_samples():
    from torch.utils.data import DataLoader

    samples = [*zip(TEXTS, [0, 1, 0, 1, 1, 0], strict=True)]
    pairs = [((text, text), label) for text, label in samples]
    task = tasks.classifier(2, BACKBONE)
    for rows in (samples, pairs):
        batches = DataLoader(rows, batch_size=4)
        history = task.fit(batches, epochs=2, verbose=0).history
        assert len(history["loss"]) == 2
    assert int(task.optimizer.iterations) == 8
    only = DataLoader(TEXTS, batch_size=4)
    found = task.predict(only, verbose=0)
    np.testing.assert_allclose(found, task.predict(TEXTS, verbose=0), atol=1e-6)


@pytest.mark.once
@pytest.mark.parametrize(
    "x",
    [
        TEXTS[:2],
        tuple(TEXTS[:2]),
        np.array(TEXTS[:2]),
        np.array(TEXTS[:2], object),
        pl.Series(TEXTS[:2]),
    ],
    ids=lambda x: type(x).__name__,
)
def test_forms_of_a_batch(x):
    task = tasks.classifier(2, BACKBONE)
    wanted = task.predict(TEXTS[:2], verbose=0)
    for batch in (x, [x]):
        found = task.predict(Batches([batch]), verbose=0)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.once
@pytest.mark.parametrize("source", ["PyDataset", "generator"])
def test_prepared_batches_are_not_preprocessed(source):
    task = tasks.classifier(2, BACKBONE)
    x = tasks.inputs(task, TEXTS)
    batches = [(x, np.array([0, 1] * 3))]
    wanted = task.evaluate(TEXTS, [0, 1] * 3, verbose=0)
    found = task.evaluate(SOURCES[source](batches), steps=1, verbose=0)
    assert found == wanted


@pytest.mark.once
@pytest.mark.parametrize(
    "samples",
    [
        lambda: iter(TEXTS),
        lambda: dict.fromkeys(TEXTS).keys(),
        lambda: zip(TEXTS, [0] * 6, strict=True),
        lambda: ({"text": t, "label": 0} for t in TEXTS),
        lambda: Batches([(TEXTS[0], 0)]),
    ],
)
def test_samples_where_batches_are_expected_are_refused(samples):
    task = tasks.classifier(2, BACKBONE)
    message = r"Expected batches(.|\n)*a single sample"
    with pytest.raises((ValueError, RuntimeError), match=message):
        task.fit(samples(), verbose=0)


@pytest.mark.once
@pytest.mark.parametrize(
    "kind", ["samples", pytest.param("batches", marks=pytest.mark.long)]
)
def test_validation_on_a_dataset_equals_that_on_samples(kind):
    import tensorflow as tf

    labels = [0, 1] * 3
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS, labels)).batch(2)
    data = (TEXTS, labels) if kind == "samples" else (dataset,)
    found = []
    for validation in (dataset, (TEXTS, labels)):
        keras.utils.set_random_seed(1)
        task = tasks.classifier(2, BACKBONE)
        history = task.fit(
            *data, validation_data=validation, shuffle=False, verbose=0
        )
        found.append(history.history["val_loss"])
    np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.once
@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (
            Reiterable([{"text": TEXTS, "label": [0] * 6}]),
            {},
            r"tuples `\(x, y\)`, not dicts of columns",
        ),
        ([("a", "b")] * 2, {"y": [0, 1]}, r"x=\(first, second\)"),
        (TEXTS, {}, "Expected labels `y`"),
        (
            TEXTS,
            {"y": [0] * 6, "validation_data": (TEXTS,)},
            "Expected labels `y`",
        ),
        (
            TEXTS,
            {"y": [0] * 6, "sample_weight": [1.0, np.nan, 1, 1, 1, 1]},
            r"sample_weight\[1\]=nan",
        ),
        ("a", {"y": [0]}, "Received: x='a', a single text"),
    ],
)
def test_what_cannot_train_is_refused_with_advice(x, options, message):
    task = tasks.classifier(2, BACKBONE)
    with pytest.raises(ValueError, match=message):
        task.fit(x, verbose=0, **options)


@pytest.mark.once
def test_class_weights_apply_to_batches():
    def loss(**options):
        keras.utils.set_random_seed(1)
        task = tasks.classifier(2, BACKBONE)
        return task.fit(shuffle=False, verbose=0, **options).history["loss"]

    labels = [0, 1, 0, 1, 1, 0]
    weights = {0: 0.5, 1: 3.0}
    wanted = loss(x=TEXTS, y=labels, sample_weight=[weights[y] for y in labels])
    assert loss(x=TEXTS, y=labels, class_weight=weights) == wanted
    batch = [(TEXTS, labels)]
    for source in ("PyDataset", "generator", "DataLoader"):
        options = {"x": SOURCES[source](batch), "class_weight": weights}
        assert loss(**options, steps_per_epoch=1) == wanted
    with pytest.raises(ValueError, match="not both"):
        loss(x=iter([(TEXTS, labels, labels)]), class_weight=weights)


@pytest.mark.once
def test_batches_come_with_their_labels():
    task = tasks.classifier(2, BACKBONE)
    for source in ("PyDataset", "generator", "DataLoader"):
        batches = SOURCES[source](batches_of(TEXTS, [0] * 6))
        with pytest.raises(ValueError, match="Expected no `y`"):
            task.fit(batches, [0, 1])


@pytest.mark.once
def test_batches_cannot_be_split():
    task = tasks.classifier(2, BACKBONE)
    for source in ("PyDataset", "generator"):
        batches = SOURCES[source](batches_of(TEXTS, [0] * 6))
        with pytest.raises(ValueError, match="Expected samples in memory"):
            task.fit(batches, validation_split=0.5)
