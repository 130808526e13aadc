"""What the tests of several tasks do with a task."""

import keras
import numpy as np

from keras_convbert.models import ConvBertMaskedLM
from keras_convbert.models import ConvBertMaskedLMPreprocessor
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertPretrainerPreprocessor
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from tests.models.convbert import texts
from tests.models.convbert import tiny

LENGTH = 8


def backbone(**options):
    return tiny.backbone(vocabulary_size=len(texts.VOCABULARY), **options)


def classifier(num_classes=3, backbone_options=None, **options):
    preprocessor = ConvBertTextClassifierPreprocessor(
        texts.tokenizer(), sequence_length=LENGTH
    )
    task = ConvBertTextClassifier(
        backbone(**(backbone_options or {})),
        num_classes,
        **{"preprocessor": preprocessor, **options},
    )
    return tiny.eagerly_on_tensorflow(task)


def with_larger_weights(task, samples):
    """The same weights on each backend; each class is that of some sample."""
    generator = np.random.default_rng(0)
    for weight in task.trainable_weights:
        values = generator.normal(size=weight.shape, scale=0.3)
        weight.assign(values + weight.path.endswith("gamma"))
    pooled = task.backbone(inputs(task, samples))["pooled_output"]
    kernel, _ = task.output_dense.get_weights()
    outputs = keras.ops.convert_to_numpy(pooled) @ kernel
    bias = -np.quantile(outputs, 0.43, axis=0)
    task.output_dense.set_weights([kernel, bias])
    return task


def masked_lm(backbone_options=None, preprocessor_options=None, **options):
    preprocessor = ConvBertMaskedLMPreprocessor(
        texts.tokenizer(),
        **{
            "sequence_length": LENGTH,
            "mask_selection_length": 2,
            "seed": 1,
            **(preprocessor_options or {}),
        },
    )
    task = ConvBertMaskedLM(
        backbone(**(backbone_options or {})),
        **{"preprocessor": preprocessor, **options},
    )
    return tiny.eagerly_on_tensorflow(task)


def pretrainer(backbone_options=None, **options):
    preprocessor = ConvBertPretrainerPreprocessor(
        texts.tokenizer(), sequence_length=LENGTH
    )
    task = ConvBertPretrainer(
        backbone(**(backbone_options or {})),
        **{"preprocessor": preprocessor, "seed": 1, **options},
    )
    return tiny.eagerly_on_tensorflow(task)


def inputs(task, samples):
    """The arrays that the task's graph takes."""
    outputs = task.preprocessor(x=samples)
    x = outputs[0] if isinstance(outputs, tuple) else outputs
    return keras.tree.map_structure(keras.ops.convert_to_numpy, x)


def outputs(task, arrays):
    found = task(arrays, training=False)
    if isinstance(found, dict):
        found = found["rtd_logits"]
    found = keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))
    return np.asarray(found)


class StepLosses(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def train(task, x, y=None):
    """The losses of three steps, in the order of the samples."""
    callback = StepLosses()
    task.fit(
        x,
        y,
        batch_size=-(-len(x) // 3),
        shuffle=False,
        verbose=0,
        callbacks=[callback],
    )
    assert len(callback.losses) == 3
    return callback.losses


def assert_goes_on_from_file(
    task, path, x, y=None, load=keras.saving.load_model
):
    """Trains, saves, trains on; the file must do the same, bit by bit."""
    train(task, x, y)
    task.save(path)
    wanted = train(task, x, y)

    # What has passed since must not matter.
    keras.utils.set_random_seed(99)
    revived = load(path)
    revived.run_eagerly = task.run_eagerly
    assert int(revived.optimizer.iterations) == 3
    found = train(revived, x, y)
    assert found == wanted
    assert len({*wanted}) == 3
    assert_same_variables(revived.variables, task.variables)
    assert_same_variables(revived.optimizer.variables, task.optimizer.variables)
    return revived


def assert_same_variables(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one),
            keras.ops.convert_to_numpy(other),
            err_msg=other.path,
        )


def assert_same_arrays(found, wanted):
    """That two nests of arrays are equal, an entry after another."""
    for one, other in zip(
        keras.tree.flatten(found), keras.tree.flatten(wanted), strict=True
    ):
        np.testing.assert_array_equal(one, other)
