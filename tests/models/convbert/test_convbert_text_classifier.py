import json
import math
import operator
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from keras_convbert.checkpoints import random_state
from keras_convbert.models import ConvBertTextClassifier
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert import tiny
from tests.models.convbert.tasks import classifier

X = texts.letters(12, longest=7)
Y = np.arange(12) % 3
PAIR = (texts.letters(12, longest=4), texts.letters(12, longest=3, seed=1))


@pytest.fixture(scope="module")
def task():
    """For tests that leave it as it is; compiled functions are dear."""
    return classifier()


def weights_of(task):
    return [keras.ops.convert_to_numpy(weight) for weight in task.weights]


def generators(task):
    return [
        generator
        for layer in random_state.layers_by_path(task).values()
        for generator in getattr(layer, "_seed_generators", ())
    ]


def first_letters(rows, seed):
    """Texts whose first letter tells their class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=rows)
    tails = texts.letters(rows, longest=5, seed=seed)
    x = [
        f"{'ab'[label]} {tail}"
        for label, tail in zip(labels, tails, strict=False)
    ]
    return x, labels


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


@pytest.mark.parametrize("head", ["linear", "dense"])
def test_head_is_what_numpy_makes_of_the_first_token(head):
    task = classifier(head=head)
    arrays = tasks.inputs(task, X)
    x = keras.ops.convert_to_numpy(task.backbone(arrays)["pooled_output"])
    layers = [task.output_dense]
    if head == "dense":
        layers = [task.pooled_dense, task.output_dense]
    for layer in layers:
        kernel, bias = layer.get_weights()
        x = x @ kernel + bias
        if layer is not task.output_dense:
            erf = np.vectorize(math.erf)(x / math.sqrt(2))
            x = 0.5 * x * (1 + erf)
    np.testing.assert_allclose(tasks.outputs(task, arrays), x, atol=2e-6)


def test_raw_strings_are_learned():
    x, y = first_letters(96, seed=0)
    task = classifier(num_classes=2, backbone_options={"dropout": 0.0})
    task.compile(optimizer=keras.optimizers.Adam(1e-2))
    tiny.eagerly_on_tensorflow(task)
    history = task.fit(
        x,
        y,
        batch_size=16,
        epochs=3,
        verbose=0,
        validation_data=first_letters(32, seed=1),
        validation_freq=3,
    ).history
    assert history["sparse_categorical_accuracy"][-1] > 0.9
    assert history["val_sparse_categorical_accuracy"][-1] > 0.9
    assert history["loss"][-1] < 0.3 * history["loss"][0]


def test_all_forms_of_samples_give_the_same(task):
    tf = pytest.importorskip("tensorflow")
    wanted = tasks.outputs(task, tasks.inputs(task, X))
    dataset = tf.data.Dataset.from_tensor_slices(X).batch(12)
    for samples in (X, np.array(X), tf.constant(X), dataset):
        found = task.predict(samples, verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    found = task.evaluate(X, Y, verbose=0)
    labelled = tf.data.Dataset.from_tensor_slices((X, Y)).batch(12)
    wanted = task.evaluate(labelled, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_pairs(task):
    arrays = tasks.inputs(task, PAIR)
    assert arrays["segment_ids"].max() == 1
    found = task.predict(PAIR, verbose=0)
    np.testing.assert_allclose(found, tasks.outputs(task, arrays), atol=1e-5)
    assert abs(found - task.predict(X, verbose=0)).max() > 1e-3
    losses = -np.log(softmax(found)[np.arange(12), Y])
    loss = task.evaluate(PAIR, Y, verbose=0)[0]
    np.testing.assert_allclose(loss, losses.mean(), rtol=1e-5)


def test_datasets_and_arrays_are_trained_on():
    tf = pytest.importorskip("tensorflow")
    task = classifier()
    dataset = tf.data.Dataset.from_tensor_slices((PAIR, Y)).batch(6)
    task.fit(dataset, verbose=0)
    assert int(task.optimizer.iterations) == 2
    arrays = tasks.inputs(task, PAIR)
    task.preprocessor = None
    task.fit(arrays, Y, batch_size=6, verbose=0)
    assert int(task.optimizer.iterations) == 4


def test_weights_of_samples_and_classes(task):
    class_weight = {0: 0.0, 1: 0.5, 2: 2.0}
    sample_weight = np.float32([class_weight[label] for label in Y])
    losses = -np.log(softmax(task.predict(X, verbose=0))[np.arange(12), Y])
    found = task.evaluate(X, Y, sample_weight=sample_weight, verbose=0)[0]
    wanted = np.mean(losses * sample_weight)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

    still = classifier(
        backbone_options={"dropout": 0.0, "attention_dropout": 0.0}, dropout=0.0
    )
    still.set_weights(weights_of(task))
    history = still.fit(X, Y, class_weight=class_weight, verbose=0).history
    np.testing.assert_allclose(history["loss"], [wanted], rtol=1e-5)


def test_softmax_output_takes_its_loss_along(task):
    twin = ConvBertTextClassifier(
        task.backbone, 3, task.preprocessor, activation="softmax"
    )
    twin.set_weights(weights_of(task))
    arrays = tasks.inputs(task, X)
    wanted = softmax(tasks.outputs(task, arrays))
    np.testing.assert_allclose(tasks.outputs(twin, arrays), wanted, atol=1e-6)
    assert twin.loss.from_logits is False
    assert task.loss.from_logits is True


def test_batch_and_padding_do_not_matter(task):
    wanted = tasks.outputs(task, tasks.inputs(task, X))
    alone = tasks.outputs(task, tasks.inputs(task, X[:1]))
    np.testing.assert_allclose(alone, wanted[:1], atol=1e-5)
    task.preprocessor.sequence_length = 17
    longer = task.predict(X, batch_size=5, verbose=0)
    task.preprocessor.sequence_length = tasks.LENGTH
    np.testing.assert_allclose(longer, wanted, atol=1e-5)


def test_mixed_precision_is_near(tmp_path, task):
    arrays = tasks.inputs(task, X)
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = classifier(head="linear")
    half.set_weights(weights_of(task))
    assert keras.backend.standardize_dtype(half.output.dtype) == "bfloat16"
    assert {w.dtype for w in half.trainable_weights} == {"float32"}
    np.testing.assert_allclose(
        tasks.outputs(half, arrays),
        tasks.outputs(task, arrays),
        atol=0.1,  # bfloat16 has 8 bits of mantissa, over several layers
    )
    half.fit(X, Y, verbose=0)
    half.save(tmp_path / "half.keras")
    revived = keras.saving.load_model(tmp_path / "half.keras")
    np.testing.assert_array_equal(
        tasks.outputs(revived, arrays), tasks.outputs(half, arrays)
    )


def test_training_goes_on_from_a_file_bit_by_bit(tmp_path):
    task = classifier(head="dense")
    task.run_eagerly = False
    revived = tasks.assert_goes_on_from_file(
        task, tmp_path / "task.keras", X, Y
    )
    assert revived.preprocessor.tokenizer.get_vocabulary() == texts.VOCABULARY
    assert type(revived.optimizer) is type(task.optimizer)


def test_frozen_layers_stay_frozen_in_a_file(tmp_path, recwarn):
    task = classifier()
    for layer in task.backbone.layers[1:5]:
        layer.trainable = False
    block = task.backbone.transformer_layers[0]
    block.trainable = False
    block.mixed_attention.trainable = True
    block.trainable = True
    task.compile()
    task.optimizer.build(task.trainable_variables)
    task.save(tmp_path / "task.keras")
    revived = keras.saving.load_model(tmp_path / "task.keras")
    assert not [w for w in recwarn if "optimizer" in str(w.message)]
    trainable = [weight.path for weight in task.trainable_weights]
    assert 0 < len(trainable) < len(task.weights)
    assert [weight.path for weight in revived.trainable_weights] == trainable
    tasks.assert_same_variables(
        revived.optimizer.variables, task.optimizer.variables
    )


def test_untrained_task_is_saved_without_fuss(tmp_path, recwarn):
    task, uncompiled = classifier(), classifier(compile=False)
    arrays = tasks.inputs(task, X)
    task.save(tmp_path / "task.keras")
    revived = keras.saving.load_model(tmp_path / "task.keras")
    assert not [w for w in recwarn if "optimizer" in str(w.message)]
    wanted = tasks.outputs(task, arrays)
    np.testing.assert_array_equal(tasks.outputs(revived, arrays), wanted)
    uncompiled.load_weights(tmp_path / "task.keras")
    uncompiled.save(tmp_path / "uncompiled.keras")
    revived = keras.saving.load_model(tmp_path / "uncompiled.keras")
    np.testing.assert_array_equal(tasks.outputs(revived, arrays), wanted)


@pytest.mark.long
def test_int8_survives_a_file(tmp_path):
    task = classifier(head="dense")
    # Its own preprocessor has not been called, and is not built.
    arrays = tasks.inputs(classifier(), X)
    before = tasks.outputs(task, arrays)
    task.quantize("int8")
    after = tasks.outputs(task, arrays)
    assert 0 < abs(after - before).max() < 0.1  # weights have 8 bits
    assert task.output_dense.quantization_mode == "int8"
    for _ in range(2):
        task.save(tmp_path / "task.keras")
        task = keras.saving.load_model(tmp_path / "task.keras")
        np.testing.assert_array_equal(tasks.outputs(task, arrays), after)
    assert task.pooled_dense.quantization_mode == "int8"
    assert task.output_dense.kernel.dtype == "int8"


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_lora_trains_and_is_merged_in_a_file(tmp_path):
    task = classifier()
    task.backbone.enable_lora(2)
    task.compile(optimizer=keras.optimizers.Adam(0.1))
    tiny.eagerly_on_tensorflow(task)
    arrays = tasks.inputs(task, X)
    before = tasks.outputs(task, arrays)
    frozen = {
        weight.path: keras.ops.convert_to_numpy(weight)
        for weight in task.backbone.non_trainable_weights
    }
    task.fit(X, Y, verbose=0)
    names = {w.path.split("/")[-1] for w in task.backbone.trainable_weights}
    assert {"lora_kernel_a", "lora_kernel_b"} <= names
    for weight in task.backbone.non_trainable_weights:
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(weight), frozen[weight.path]
        )
    after = tasks.outputs(task, arrays)
    assert abs(after - before).max() > 1e-3
    task.save(tmp_path / "task.keras")
    revived = keras.saving.load_model(tmp_path / "task.keras")
    np.testing.assert_allclose(tasks.outputs(revived, arrays), after, atol=1e-5)


def test_random_state_of_another_model_is_refused(tmp_path, task):
    task.save_assets(str(tmp_path))
    with pytest.raises(ValueError, match=r"only in the model:.*output_dropout"):
        classifier(head="dense").load_assets(str(tmp_path))


def test_clone_is_a_model_of_its_own(task):
    clone = keras.models.clone_model(task)
    clone.set_weights(weights_of(task))
    arrays = tasks.inputs(task, X)
    np.testing.assert_allclose(
        tasks.outputs(clone, arrays), tasks.outputs(task, arrays), atol=1e-6
    )


def test_config_round_trip():
    options = {"head": "dense", "activation": "softmax", "dropout": 0.3}
    task = classifier(name="sorter", **options)
    config = json.loads(json.dumps(task.get_config()))
    assert {name: config[name] for name in options} == options
    revived = ConvBertTextClassifier.from_config(config)
    assert revived.get_config() == task.get_config()
    assert revived.count_params() == task.count_params()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "deep"}, '"linear" or "dense". Received: head=\'deep\''),
        ({"num_classes": 0}, "positive integer. Received: num_classes=0"),
        ({"num_classes": 2.0}, "Received: num_classes=2.0"),
        ({"dropout": 1.5}, "1.5"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        classifier(**options)


def test_bad_samples_are_refused(task):
    with pytest.raises(ValueError, match=r"same number of samples.*\[11, 12\]"):
        task.fit(X, Y[:11])
    with pytest.raises(ValueError, match="does not apply preprocessing"):
        task(X)
    with pytest.raises(ValueError, match="must be strings"):
        task.predict([1, 2], verbose=0)
    uncompiled = classifier(compile=False)
    with pytest.raises(ValueError, match="compile"):
        uncompiled.fit(X, Y, verbose=0)


def run_without_tensorflow(backend, script, *arguments):
    script = (
        """
        import sys

        sys.modules["tensorflow"] = None
        sys.modules["tensorflow_text"] = None
        import keras
        import numpy as np
        import keras_convbert
    """
        + script
    )
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.once
@pytest.mark.long
def test_files_open_on_another_backend(tmp_path):
    kept = {
        "classifier": classifier(),
        "masked_lm": tasks.masked_lm(),
        "pretrainer": tiny.pretrainer(),
    }
    for name, task in kept.items():
        task.optimizer.build(task.trainable_variables)
        for i, slot in enumerate(task.optimizer.variables):
            slot.assign(keras.ops.full_like(slot, i))
        task.save(tmp_path / f"{name}.keras")
    wanted = tasks.outputs(
        kept["classifier"], tasks.inputs(kept["classifier"], X)
    )
    np.save(tmp_path / "wanted.npy", wanted)
    run_without_tensorflow(
        "torch",
        """
        folder, x = sys.argv[1], sys.argv[2:]
        for name in ("pretrainer", "masked_lm", "classifier"):
            task = keras.saving.load_model(f"{folder}/{name}.keras")
            task.save(f"{folder}/{name}_from_torch.keras")
            # Slots are saved by number: they must belong to the same weights.
            with open(f"{folder}/{name}.txt", "w") as file:
                for weight in task.trainable_variables:
                    print(weight.path, file=file)
        found = task.predict(x, verbose=0)
        wanted = np.load(folder + "/wanted.npy")
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        """,
        tmp_path,
        *X,
    )
    for name, task in kept.items():
        paths = (tmp_path / f"{name}.txt").read_text().splitlines()
        assert paths == [weight.path for weight in task.trainable_variables]
        back = keras.saving.load_model(tmp_path / f"{name}_from_torch.keras")
        for part in ("variables", "optimizer.variables"):
            get = operator.attrgetter(part)
            tasks.assert_same_variables(get(back), get(task))
        for one, other in zip(generators(back), generators(task), strict=True):
            np.testing.assert_array_equal(
                one.state.numpy(), other.state.numpy()
            )


@pytest.mark.once
def test_strings_without_tensorflow():
    run_without_tensorflow(
        "jax",
        """
        import grain
        from tests.models.convbert import tasks
        from tests.models.convbert import texts

        x, y = texts.letters(6, longest=7), np.arange(6) % 3
        task = tasks.classifier()
        tokenizer = task.preprocessor.tokenizer
        assert tokenizer(["a b"]) == [[5, 6]]
        assert tokenizer.detokenize([5, 6]) == "a b"
        task.fit(x, y, verbose=0)
        wanted = task.predict(x, verbose=0)
        dataset = grain.MapDataset.source(x).batch(6)
        found = task.predict(dataset, verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        tasks.masked_lm().fit(x, verbose=0)
        """,
    )


@pytest.mark.once
def test_a_preprocessor_must_suit_the_backbone():
    preprocessor = classifier().preprocessor
    too_few = len(texts.VOCABULARY) - 1
    with pytest.raises(ValueError, match=f"vocabulary_size={too_few}"):
        ConvBertTextClassifier(
            tiny.backbone(vocabulary_size=too_few), 2, preprocessor
        )
    with pytest.raises(ValueError, match="max_sequence_length=4"):
        ConvBertTextClassifier(
            tasks.backbone(max_sequence_length=4), 2, preprocessor
        )


@pytest.mark.once
def test_text_without_a_preprocessor_is_refused():
    task = ConvBertTextClassifier(tiny.backbone(), 2)
    with pytest.raises(ValueError, match="no preprocessor"):
        task.predict(["a"])


def test_regression():
    task = tasks.classifier(num_classes=1, dropout=0.0)
    task.compile(keras.optimizers.Adam(0.002))
    tiny.eagerly_on_tensorflow(task)
    x = texts.letters(12)
    y = np.array([3.0 + ("a" in text) for text in x], "float32")
    history = task.fit(x, y, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert "pearson_correlation" in history
    found = task.predict(x, verbose=0)[:, 0]
    loss = task.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert abs(loss - np.mean((found - y) ** 2)) < 1e-5


def test_several_labels():
    task = tasks.classifier(num_classes=3, activation="sigmoid", dropout=0.0)
    task.compile(keras.optimizers.Adam(0.01))
    tiny.eagerly_on_tensorflow(task)
    x = texts.letters(12)
    y = np.array([[c in text for c in "abc"] for text in x], "float32")
    history = task.fit(x, y, epochs=4, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    found = task.predict(x, verbose=0)
    assert found.min() >= 0
    assert found.max() <= 1
    found = task.evaluate(x, y, verbose=0, return_dict=True)
    assert found["accuracy"] > 0.5


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "labels", "message"),
    [
        ({}, [0, 3], "0 to 2.*Received: 3 for sample 1"),
        ({}, [-1, 0], "Received: -1 for sample 0"),
        ({}, [0.5, 0], "Received: 0.5 for sample 0"),
        ({"num_classes": 1}, [0.0, np.nan], "finite. Received: nan"),
        ({"num_classes": 1}, [np.inf, 0.0], "finite. Received: inf"),
        (
            {"activation": "sigmoid"},
            [[1, 0, 1], [0, 2, 0]],
            "from 0 to 1,.*Received: 2 for sample 1",
        ),
    ],
)
def test_labels_that_are_none_are_refused(options, labels, message):
    import tensorflow as tf

    task = tasks.classifier(**options)
    before = [to_numpy(weight) for weight in task.weights]
    good = np.zeros_like(labels[:1], dtype="int32")
    for given in (labels, np.array(labels)):
        with pytest.raises(ValueError, match=message):
            task.fit(["a", "b"], given, verbose=0)
        with pytest.raises(ValueError, match=message):
            task.fit(["a"], good, validation_data=(["a", "b"], given))
    for value, weight in zip(before, task.weights, strict=True):
        np.testing.assert_array_equal(value, to_numpy(weight))
    dataset = tf.data.Dataset.from_tensors((["a", "b"], labels))
    message = message.split(" ")[0]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        task.fit(dataset, verbose=0)
