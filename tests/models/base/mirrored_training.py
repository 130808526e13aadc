"""Trains tasks on two replicas; prints losses and weight differences as JSON.

The question answerer, which computes its own loss, is trained on one device as
well. The pretrainer samples per replica, so that its loss cannot be compared.
The pretrainer and the layers get five rows in batches of four, so that one
replica has no row in the last step.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertPretrainerPreprocessor
from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertQuestionAnswererPreprocessor
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.training import BackupAndResume
from tests.layers.lifecycle import CASES
from tests.models.convbert import texts
from tests.models.convbert import tiny

TEXTS = ["a good film", "bad"] * 2
FIVE = [*TEXTS, "film"]


def backbone():
    return tiny.backbone(
        vocabulary_size=len(texts.VOCABULARY),
        dropout=0.0,
        attention_dropout=0.0,
    )


def classifier():
    preprocessor = ConvBertTextClassifierPreprocessor(
        texts.tokenizer(), sequence_length=8
    )
    return ConvBertTextClassifier(backbone(), 2, preprocessor, dropout=0.0)


def question_answerer():
    preprocessor = ConvBertQuestionAnswererPreprocessor(
        texts.tokenizer(), sequence_length=16, max_question_length=4
    )
    return ConvBertQuestionAnswerer(backbone(), preprocessor)


def pretrainer():
    preprocessor = ConvBertPretrainerPreprocessor(
        texts.tokenizer(), sequence_length=8
    )
    return ConvBertPretrainer(backbone(), preprocessor=preprocessor)


def layers():
    """A model of all layers, one after another."""
    inputs = x = keras.Input((6, 8))
    for name, case in CASES.items():
        layer = case.layer_class(name=name, **case.options)
        query = []
        if case.query_shape:
            query = [keras.layers.Reshape((6, *case.query_shape))(x)]
        x = keras.layers.Reshape((6, -1))(layer(x, *query))
        x = keras.layers.Dense(8)(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def with_sgd(task, **options):
    """Adam would turn rounding of a zero gradient into a whole step."""
    task.compile(keras.optimizers.SGD(0.1), **options)
    return task


def fit(task, x, *y, **options):
    history = task.fit(x, *y, batch_size=4, shuffle=False, verbose=0, **options)
    return history.history["loss"][0]


def main(folder):
    (cpu,) = tf.config.list_physical_devices("CPU")
    half = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(cpu, [half, half])
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {}
    with strategy.scope():
        task = classifier()
    loss = fit(task, TEXTS, [0, 1] * 2)
    found["classifier"] = loss, len(task.predict_labels(TEXTS[:3]))

    answers = {"text": ["film", "bad"] * 2, "answer_start": [7, 0] * 2}
    keras.utils.set_random_seed(0)
    alone = with_sgd(question_answerer())
    loss = fit(alone, (TEXTS, TEXTS), answers)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        mirrored = with_sgd(question_answerer())
    difference = abs(fit(mirrored, (TEXTS, TEXTS), answers) - loss)
    weights = zip(alone.get_weights(), mirrored.get_weights(), strict=True)
    found["question_answerer"] = (
        difference,
        max(float(np.abs(one - other).max()) for one, other in weights),
    )

    with strategy.scope():
        task = pretrainer()
    loss = fit(task, FIVE, callbacks=[BackupAndResume(folder)])
    found["pretrainer"] = (
        loss,
        int(keras.ops.convert_to_numpy(task.optimizer.iterations)),
    )

    with strategy.scope():
        model = with_sgd(layers(), loss="mse")
    rows = np.ones((5, 6, 8), "float32")
    found["layers"] = fit(model, rows, rows[..., :1])
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
