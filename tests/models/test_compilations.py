"""Predictions compile for few shapes, and never run operation by operation."""

import inspect
import types

import keras
import numpy as np
import pytest

from keras_convbert.compat import flatten_layers
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.models.base.batch_prediction import rounded_up
from keras_convbert.models.presets.family import task_classes
from tests.models.test_graphs import ARGUMENTS
from tests.models.test_graphs import ARGUMENTS_OF
from tests.models.test_graphs import SIZES

BACKEND = keras.backend.backend()
LENGTH = 80  # rounded up to 64 or cut to 80
BATCH_SIZE = 4
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg"]
PREFIXES = {"predict", "fill", "encode"}
# Numbers of rows and of words, in no order.
DRAWN = np.random.default_rng(0)
CALLS = [
    (int(rows), int(words))
    for rows, words in zip(
        DRAWN.permutation(24) + 1, DRAWN.integers(1, 75, 24), strict=True
    )
]
if BACKEND == "tensorflow":
    # It traces two shapes, and then one graph for all others.
    CALLS = CALLS[:6]
CLASSES = [*task_classes(ConvBertBackbone)]


def make(cls):
    """A task with a preprocessor."""

    def required(of):
        parameters = inspect.signature(of).parameters
        return {k: v for k, v in ARGUMENTS.items() if k in parameters}

    options = {**required(cls), **ARGUMENTS_OF.get(cls.task_kind, {})}
    if cls.task_kind == "pretrainer":
        options.update(generator_scale=0.5, seed=1)
    preprocessor = cls.preprocessor_cls(
        ConvBertTokenizer(VOCABULARY),
        sequence_length=LENGTH,
        **required(cls.preprocessor_cls),
    )
    backbone = ConvBertBackbone(**{**SIZES, "max_sequence_length": LENGTH})
    return cls(backbone, preprocessor=preprocessor, compile=False, **options)


def methods(cls):
    """The public methods that predict."""
    return [
        name
        for name in dir(cls)
        if name.split("_")[0] in PREFIXES and name != "predict_step"
    ]


METHODS = [
    pytest.param(cls, method, id=f"{cls.task_kind}-{method}")
    for cls in CLASSES
    for method in methods(cls)
]


def call(task, method, rows, words):
    """Calls a method on `rows` samples of about `words` words."""
    sample = ["a", *VOCABULARY[5:]] * (words // 8) + ["b"] * (words % 8)
    texts = [" ".join(sample)] * rows
    options = {"batch_size": BATCH_SIZE}
    if method == "predict_on_batch":
        options = {}
    elif method in ("predict", "encode_text"):
        options["verbose"] = 0
    if method == "fill_mask":
        masks = 1 + words // 20
        texts = [" ".join(["[MASK]"] * masks + sample[masks:])] * rows
    elif task.preprocessor.takes_words:
        texts = [sample] * rows
    elif task.task_kind == "question_answerer":
        texts = (["a b"] * rows, texts)
    elif task.task_kind == "multiple_choice":
        texts = (["a"] * rows, [["a b", "c"]] * rows)
    if method == "predict_answers":
        return task.predict_answers(*texts, **options)
    return getattr(task, method)(texts, **options)


def zeros(task, inputs):
    """What the graph of a task returns, but compiled in no time."""
    spec = keras.Model.compute_output_spec(task, inputs)
    tokens = keras.ops.shape(inputs["token_ids"])

    def output(tensor):
        # The axes after the rows are known, except for the length.
        shape = [tokens[0], *tensor.shape[1:]]
        shape = [tokens[-1] if size is None else size for size in shape]
        return keras.ops.zeros(shape, tensor.dtype)

    return keras.tree.map_structure(output, spec)


@pytest.mark.skipif(BACKEND == "torch", reason="it compiles nothing")
@pytest.mark.parametrize(("cls", "method"), METHODS)
def test_few_shapes_are_traced(cls, method, monkeypatch):
    task = make(cls)
    traces = []

    def traced(self, inputs, training=None, mask=None):
        traces.append(inputs["token_ids"].shape)
        return zeros(self, inputs)

    monkeypatch.setattr(cls, "call", traced)
    for rows, words in CALLS:
        call(task, method, rows, words)
    # Rows of 1, 2 and 4, or up to 32, and two lengths. Masks of 1, 2 and 4.
    limit = 6 if method == "predict_on_batch" else 3 * 2
    if method == "fill_mask":
        limit *= 3
    assert 0 < len(traces) <= limit, traces
    assert all(layer.built for layer in flatten_layers(task))


@pytest.mark.skipif(BACKEND != "jax", reason="of the compiler of JAX")
def test_operations_are_compiled_together():
    import jax

    compiled = []

    def listen(name, seconds, **options):
        if name == "/jax/core/compile/backend_compile_duration":
            compiled.append(name)

    tagger = next(cls for cls in CLASSES if cls.task_kind == "token_classifier")
    task = make(tagger)
    call(task, "predict_labels", 1, 3)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        call(task, "predict_labels", 3, 3)
        call(task, "predict_labels", 4, 3)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(compiled) == 1


@pytest.mark.skipif(BACKEND != "torch", reason="it runs eagerly on PyTorch")
@pytest.mark.parametrize(("cls", "method"), METHODS)
def test_added_rows_change_no_answer(cls, method, monkeypatch):
    """A task that says it is compiled, but runs eagerly."""

    def answers(compiled):
        keras.utils.set_random_seed(0)
        task = make(cls)
        rows = []
        monkeypatch.setattr(cls, "jit_compile", compiled)
        original = cls.call

        def counted(self, inputs, training=None, mask=None):
            rows.append(len(inputs["token_ids"]))
            return original(self, inputs, training=training, mask=mask)

        with monkeypatch.context() as patch:
            patch.setattr(cls, "call", counted)
            patch.setattr(cls, "_should_torch_compile", lambda self: False)
            return call(task, method, 7, 30), rows

    (wanted, rows), (found, rounded) = answers(False), answers(True)
    assert rows[-1] in (3, 7)
    assert rounded[-1] in (4, 8)
    assert repr_of(found) == repr_of(wanted)


def repr_of(answer):
    """An answer whose floats are rounded."""
    return keras.tree.map_structure(
        lambda value: (
            np.round(value, 5).tolist()
            if isinstance(value, (float, np.ndarray, np.floating))
            else value
        ),
        answer,
    )


@pytest.mark.once
def test_sizes_are_rounded_up_for_compiled_tasks_alone():
    eager, compiled = (
        types.SimpleNamespace(jit_compile=value) for value in (False, True)
    )
    sizes = [0, 1, 2, 3, 5, 17, 24, 33]
    assert [rounded_up(eager, size, 24) for size in sizes] == sizes
    found = [rounded_up(compiled, size, 24) for size in sizes]
    assert found == [0, 1, 2, 4, 8, 24, 24, 33]
    found = [rounded_up(compiled, size) for size in sizes]
    assert found == [0, 1, 2, 4, 8, 32, 32, 64]
