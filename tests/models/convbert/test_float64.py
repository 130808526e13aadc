"""float64 as the global float type: tasks train, and layers do not round.

JAX computes in float64 only if the process enables it, so it is left out.
"""

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertTextEmbedder
from keras_convbert.models import ConvBertTextEmbedderPreprocessor
from tests.layers.lifecycle import CASES
from tests.models.convbert import tasks
from tests.models.convbert import test_question_answerer
from tests.models.convbert import test_token_classifier
from tests.models.convbert import texts
from tests.models.convbert import tiny

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="needs JAX_ENABLE_X64"
)

TEXTS = ["a good film", "bad"]


@pytest.fixture(autouse=True)
def float64():
    policy = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)


def _embedder():
    preprocessor = ConvBertTextEmbedderPreprocessor(
        texts.tokenizer(), sequence_length=8
    )
    task = ConvBertTextEmbedder(tasks.backbone(), preprocessor)
    task.compile(loss="mse")
    return tiny.eagerly_on_tensorflow(task)


def _answerer(head):
    questions, contexts, answers = test_question_answerer.samples(2)
    task = test_question_answerer.answerer(head=head)
    return tiny.eagerly_on_tensorflow(task), ((questions, contexts), answers)


TASKS = {
    "classifier": lambda: (tasks.classifier(2), (TEXTS, [0, 1])),
    "regression": lambda: (tasks.classifier(1), (TEXTS, [0.5, 1.0])),
    "multi-label": lambda: (
        tasks.classifier(2, activation="sigmoid", head="dense"),
        (TEXTS, [[0, 1], [1, 1]]),
    ),
    "masked LM": lambda: (tasks.masked_lm(), (TEXTS,)),
    "pretrainer": lambda: (tasks.pretrainer(), (TEXTS,)),
    "packed": lambda: (tasks.pretrainer({"packed": True}), (TEXTS,)),
    "tagger": lambda: (
        tiny.eagerly_on_tensorflow(test_token_classifier.tagger()),
        test_token_classifier.sentences(2),
    ),
    "linear answers": lambda: _answerer("linear"),
    "joint answers": lambda: _answerer("joint"),
    "embedder": lambda: (_embedder(), (TEXTS, np.zeros((2, 32)))),
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks_train(name):
    task, samples = TASKS[name]()
    assert {w.dtype for w in task.trainable_weights} == {"float64"}
    history = task.fit(*samples, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for output in keras.tree.flatten(task.predict(samples[0], verbose=0)):
        assert np.isfinite(output).all()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="The Keras Dense and LayerNormalization round on PyTorch",
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_layers_do_not_round_to_float32(case):
    layer = case.built(kernel_initializer="glorot_uniform")
    arrays = [
        value.astype("float64") if value.dtype == "float32" else value
        for value in case.arrays()
    ]

    def slope(step):
        moved = [arrays[0] * (1 + step), *arrays[1:]]
        one, other = (
            keras.ops.convert_to_numpy(case.call(layer, inputs))
            for inputs in (arrays, moved)
        )
        return (other - one) / step

    # A difference of 1e-9 is lost where one step rounds to 7 digits.
    np.testing.assert_allclose(
        slope(1e-9),
        slope(1e-6),
        atol=1e-4,  # 16 digits less the 9 of the step, and the curvature
    )
