"""Nothing keeps a task or its data once the caller has dropped them.

TensorFlow keeps the generator of each `tf.data` dataset, for example.
"""

import gc
import inspect
import weakref

import keras
import numpy as np
import pytest

from keras_convbert.data import PretrainingDataset
from keras_convbert.export import export_saved_model
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models.presets.family import task_classes
from keras_convbert.training import BackupAndResume
from tests.data import corpora
from tests.models.convbert import tasks
from tests.models.convbert import test_columns as columns
from tests.models.convbert import test_multiple_choice as choices
from tests.models.convbert.test_batches_of_text import SOURCES
from tests.models.convbert.test_batches_of_text import batches_of

TEXTS = columns.TEXTS
# How the predictions of a task are called, besides `predict`.
PREDICTIONS = {
    "predict_labels": lambda x: (x,),
    "predict_spans": lambda x: (x,),
    "predict_answers": lambda x: x,
    "fill_mask": lambda x: (["a [MASK]", "b [MASK]"],),
}
SAMPLES = {
    "text_classifier": columns.CASES["classifier"],
    "token_classifier": columns.CASES["tagger"],
    "question_answerer": columns.CASES["answerer"],
    "text_embedder": columns.CASES["embedder"],
    "masked_lm": columns.CASES["masked_lm"],
    "pretrainer": columns.CASES["pretrainer"],
    "multiple_choice": (
        choices.multiple_choice,
        choices.X,
        choices.Y,
        [1.0] * 4,
    ),
}
KINDS = [cls.task_kind for cls in task_classes(ConvBertBackbone)]
ON_JAX = keras.backend.backend() == "jax"


class Column(list):
    """A list that can be referred to weakly."""


def alive(references):
    """Names of what is not freed, after Keras drops its global state."""
    gc.collect()
    # The first run finishes suspended generators, which then let go.
    gc.collect()
    return [name for name, found in references.items() if found() is not None]


def refer(task, **others):
    found = {
        "task": task,
        "backbone": task.backbone,
        "preprocessor": task.preprocessor,
        "weight": task.weights[0],
        "optimizer": task.optimizer,
        **others,
    }
    return {
        name: weakref.ref(value)
        for name, value in found.items()
        if value is not None
    }


def use_in_memory(kind):
    """Trains, evaluates and predicts, and calls each method of a task."""
    make, x, y, weights = SAMPLES[kind]
    task = make()
    weights = Column(weights)
    task.fit(
        x,
        y,
        batch_size=2,
        sample_weight=weights,
        validation_split=0.5,
        steps_per_epoch=1,
        verbose=0,
    )
    task.evaluate(x, y, batch_size=2, steps=1, verbose=0)
    if kind not in ("masked_lm", "pretrainer"):
        task.predict(x, batch_size=2, steps=1, verbose=0)
    names = [name for name in dir(type(task)) if name in PREDICTIONS]
    for name in names:
        getattr(task, name)(*PREDICTIONS[name](x))
    return refer(task, weights=weights)


def use_source(source):
    """Trains, evaluates and predicts on batches from a source."""
    batches = batches_of(*columns.CASES["pairs"][1:])
    task = columns.CASES["pairs"][0]()
    data, validation = SOURCES[source](batches), SOURCES[source](batches)
    steps = {"steps": 2} if source == "generator" else {}
    options = {"steps_per_epoch": 2, "validation_steps": 2} if steps else {}
    task.fit(data, validation_data=validation, verbose=0, **options)
    task.evaluate(SOURCES[source](batches), verbose=0, **steps)
    task.predict(SOURCES[source]([b[:1] for b in batches]), verbose=0, **steps)
    return refer(task, data=data, validation=validation)


def test_every_task_and_prediction_is_covered():
    assert {*KINDS} == {*SAMPLES}
    found = {
        name
        for cls in task_classes(ConvBertBackbone)
        for name, value in inspect.getmembers(cls, inspect.isfunction)
        if name.startswith(("predict_", "fill_", "generate"))
        and name != "predict_on_batch"
        and value.__module__.startswith("keras_convbert.")
    }
    assert found == {*PREDICTIONS}


# Compiling for JAX takes seconds per task; all of them use the same code.
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.long
            if ON_JAX and kind != "text_classifier"
            else (),
        )
        for kind in KINDS
    ],
)
def test_a_task_used_on_samples_in_memory_is_freed(kind):
    assert alive(use_in_memory(kind)) == []


@pytest.mark.parametrize(
    "source",
    [
        *("PyDataset", "generator"),
        # Keras reads these like the others on a backend without `tf.data`.
        *(
            pytest.param(source, marks=pytest.mark.once)
            for source in ("workers", "DataLoader", "iterable")
        ),
    ],
)
def test_a_task_used_on_batches_is_freed(source):
    assert alive(use_source(source)) == []


def count_graphs():
    from tensorflow.python.framework.func_graph import FuncGraph

    gc.collect()
    gc.collect()
    return sum(isinstance(found, FuncGraph) for found in gc.get_objects())


@pytest.mark.once
def test_a_compiled_task_used_on_arrays_is_freed_with_its_graphs():
    def use():
        ids = np.ones((4, 8), "int32")
        x = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids}
        task = tasks.classifier(2, columns.BACKBONE, preprocessor=None)
        task.compile(run_eagerly=False)
        task.fit(x, np.zeros(4), epochs=2, verbose=0)
        task.predict(x, verbose=0)
        return refer(task, ids=ids)

    before = count_graphs()
    assert alive(use()) == []
    assert count_graphs() == before


@pytest.mark.once
def test_a_task_used_on_a_tf_dataset_is_freed():
    import tensorflow as tf

    def use():
        task = tasks.classifier(2, columns.BACKBONE)
        data = tf.data.Dataset.from_tensor_slices((TEXTS, [0, 1] * 3)).batch(2)
        task.fit(data, class_weight={0: 1.0, 1: 2.0}, verbose=0)
        return refer(task, data=data)

    assert alive(use()) == []


@pytest.mark.parametrize("end", ["crash", "stop"])
def test_a_task_whose_training_ends_within_a_pass_is_freed(end, tmp_path):
    def use():
        task = tasks.classifier(2, columns.BACKBONE)

        def on_batch_end(batch, logs):
            task.stop_training = True
            if end == "crash":
                raise ZeroDivisionError

        callback = keras.callbacks.LambdaCallback(
            on_train_batch_end=on_batch_end
        )
        backup = BackupAndResume(tmp_path, 1)
        try:
            task.fit(
                TEXTS,
                [0, 1] * 3,
                batch_size=2,
                callbacks=[callback, backup],
                verbose=0,
            )
        except ZeroDivisionError:
            assert end == "crash"
        return refer(task, callback=callback, backup=backup)

    assert alive(use()) == []


def test_saved_and_loaded_tasks_are_freed(tmp_path):
    def use():
        task = tasks.classifier(2, columns.BACKBONE)
        task.save_to_preset(tmp_path / "preset")
        task.save(tmp_path / "task.keras")
        one = type(task).from_preset(str(tmp_path / "preset"))
        two = keras.saving.load_model(tmp_path / "task.keras")
        return refer(task, one=one, two=two)

    assert alive(use()) == []


@pytest.mark.once
@pytest.mark.long
def test_an_exported_task_is_freed(tmp_path):
    def use():
        task = tasks.classifier(2, columns.BACKBONE)
        export_saved_model(task, tmp_path)
        return refer(task)

    assert alive(use()) == []


@pytest.mark.once
def test_a_pretraining_dataset_is_freed_and_lives_as_long_as_it_is_read(
    tmp_path,
):
    folder = corpora.shards(tmp_path, documents=20)

    def use():
        data = PretrainingDataset(folder, 4)
        rows = data.get_tf_dataset()
        return rows, {"data": weakref.ref(data)}

    rows, references = use()
    assert alive(references) == ["data"]
    iterator = iter(rows)
    del rows
    gc.collect()
    assert next(iterator)["token_ids"].shape[0] == 4
    del iterator
    assert alive(references) == []
