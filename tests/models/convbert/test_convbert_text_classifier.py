import json
import math
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertTextClassifier
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert.tasks import classifier

X = texts.letters(12, longest=7)
Y = np.arange(12) % 3


def first_letters(rows, seed):
    """Texts whose first letter tells their class."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=rows)
    tails = texts.letters(rows, longest=5, seed=seed)
    x = [f"{'ab'[label]} {tail}" for label, tail in zip(labels, tails)]
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
    x, y = first_letters(128, seed=0)
    task = classifier(num_classes=2, backbone_options={"dropout": 0.0})
    task.compile(optimizer=keras.optimizers.Adam(3e-3))
    validation = first_letters(32, seed=1)
    history = task.fit(
        x, y, batch_size=16, epochs=6, verbose=0, validation_data=validation
    ).history
    assert history["sparse_categorical_accuracy"][-1] > 0.95
    assert history["val_sparse_categorical_accuracy"][-1] > 0.9
    assert history["loss"][-1] < 0.3 * history["loss"][0]


def test_all_forms_of_samples_give_the_same():
    tf = pytest.importorskip("tensorflow")
    task = classifier()
    arrays = tasks.inputs(task, X)
    wanted = task.predict(X, verbose=0)
    np.testing.assert_allclose(wanted, tasks.outputs(task, arrays), atol=1e-5)
    dataset = tf.data.Dataset.from_tensor_slices(X).batch(5)
    for samples in (np.array(X), tf.constant(X), dataset):
        found = task.predict(samples, verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    loss = task.evaluate(X, Y, verbose=0)[0]
    labelled = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    np.testing.assert_allclose(
        task.evaluate(labelled, verbose=0)[0], loss, atol=1e-5
    )
    task.fit(labelled, verbose=0)
    task.preprocessor = None
    task.fit(arrays, Y, verbose=0)
    assert task.predict(arrays, verbose=0).shape == (12, 3)
    assert int(task.optimizer.iterations) == 3 + 1


def test_pairs():
    tf = pytest.importorskip("tensorflow")
    task = classifier()
    pair = (X, texts.letters(12, seed=1))
    arrays = tasks.inputs(task, pair)
    assert arrays["segment_ids"].max() == 1
    wanted = tasks.outputs(task, arrays)
    found = task.predict(pair, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert abs(found - task.predict(X, verbose=0)).max() > 1e-3
    assert np.isfinite(task.evaluate(pair, Y, verbose=0)).all()
    task.fit(pair, Y, verbose=0)
    dataset = tf.data.Dataset.from_tensor_slices((pair, Y)).batch(6)
    task.fit(dataset, verbose=0)
    assert int(task.optimizer.iterations) == 1 + 2


def test_weights_of_samples_and_classes():
    class_weight = {0: 0.0, 1: 0.5, 2: 2.0}
    sample_weight = np.float32([class_weight[label] for label in Y])
    options = {"backbone_options": {"dropout": 0.0}, "dropout": 0.0}
    task = classifier(**options)
    log_probabilities = np.log(softmax(task.predict(X, verbose=0)))
    losses = -log_probabilities[np.arange(12), Y]
    np.testing.assert_allclose(
        task.evaluate(X, Y, sample_weight=sample_weight, verbose=0)[0],
        np.mean(losses * sample_weight),
        rtol=1e-5,
    )
    twin = ConvBertTextClassifier.from_config(task.get_config())
    twin.preprocessor = task.preprocessor
    twin.set_weights(task.get_weights())
    for each in (task, twin):
        each.compile(optimizer=keras.optimizers.SGD(0.1))
    task.fit(X, Y, class_weight=class_weight, shuffle=False, verbose=0)
    twin.fit(X, Y, sample_weight=sample_weight, shuffle=False, verbose=0)
    for found, wanted in zip(task.get_weights(), twin.get_weights()):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_softmax_output_takes_its_loss_along():
    task = classifier()
    twin = ConvBertTextClassifier(
        task.backbone, 3, task.preprocessor, activation="softmax"
    )
    twin.set_weights(task.get_weights())
    found = twin.predict(X, verbose=0)
    wanted = softmax(task.predict(X, verbose=0))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(
        twin.evaluate(X, Y, verbose=0),
        task.evaluate(X, Y, verbose=0),
        rtol=1e-4,
    )


def test_batch_and_padding_do_not_matter():
    task = classifier()
    wanted = task.predict(X, verbose=0)
    alone = np.concatenate([task.predict([x], verbose=0) for x in X[:3]])
    np.testing.assert_allclose(alone, wanted[:3], atol=1e-5)
    task.preprocessor.sequence_length = 17
    longer = task.predict(X, batch_size=5, verbose=0)
    np.testing.assert_allclose(longer, wanted, atol=1e-5)


def test_mixed_precision_is_near(tmp_path):
    task = classifier()
    arrays = tasks.inputs(task, X)
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = classifier(head="linear")
    half.set_weights(task.get_weights())
    assert keras.backend.standardize_dtype(half.output.dtype) == "bfloat16"
    assert {w.dtype for w in half.trainable_weights} == {"float32"}
    # Eight bits of mantissa, a few layers deep.
    found = tasks.outputs(half, arrays)
    np.testing.assert_allclose(found, tasks.outputs(task, arrays), atol=0.1)
    half.fit(X, Y, verbose=0)
    half.save(tmp_path / "half.keras")
    revived = keras.saving.load_model(tmp_path / "half.keras")
    np.testing.assert_array_equal(
        tasks.outputs(revived, arrays), tasks.outputs(half, arrays)
    )


@pytest.mark.parametrize("head", ["linear", "dense"])
def test_training_goes_on_from_a_file_bit_by_bit(tmp_path, head):
    task = classifier(head=head)
    revived = tasks.assert_goes_on_from_file(
        task, tmp_path / "task.keras", X, Y
    )
    assert revived.preprocessor.tokenizer.get_vocabulary() == texts.VOCABULARY
    assert type(revived.optimizer).__module__.startswith("keras_convbert")
    # Without its generators' state it would go another way.
    keras.utils.set_random_seed(99)
    task.save(tmp_path / "again.keras")
    wanted = tasks.train(task, X, Y)
    other = keras.saving.load_model(tmp_path / "again.keras")
    other.load_assets(str(tmp_path))  # nothing there
    for layer in other._flatten_layers():
        for generator in getattr(layer, "_seed_generators", ()):
            generator.state.assign(generator.state + 1)
    keras.utils.set_random_seed(98)
    assert tasks.train(other, X, Y) != wanted


def test_frozen_layers_stay_frozen_in_a_file(tmp_path):
    task = classifier()
    task.backbone.trainable = False
    task.backbone.transformer_layers[-1].trainable = True
    task.backbone.embeddings_layer_norm.trainable = True
    # Of a frozen model Keras trains nothing, whatever its layers say.
    task.backbone.trainable = True
    task.backbone.token_embedding.trainable = False
    task.backbone.position_embedding.trainable = False
    task.compile()
    revived = tasks.assert_goes_on_from_file(
        task, tmp_path / "task.keras", X, Y
    )
    assert [w.path for w in revived.trainable_weights] == [
        w.path for w in task.trainable_weights
    ]
    assert not revived.backbone.token_embedding.trainable
    assert revived.backbone.segment_embedding.trainable


def test_untrained_task_is_saved_without_fuss(tmp_path, recwarn):
    task = classifier()
    task.save(tmp_path / "task.keras")
    revived = keras.saving.load_model(tmp_path / "task.keras")
    assert not [w for w in recwarn if "optimizer" in str(w.message)]
    np.testing.assert_array_equal(
        revived.predict(X, verbose=0), task.predict(X, verbose=0)
    )
    uncompiled = classifier(compile=False)
    uncompiled.load_weights(tmp_path / "task.keras")
    uncompiled.save(tmp_path / "uncompiled.keras")
    revived = keras.saving.load_model(tmp_path / "uncompiled.keras")
    np.testing.assert_array_equal(
        revived.predict(X, verbose=0), task.predict(X, verbose=0)
    )


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
def test_int8_survives_a_file(tmp_path):
    task = classifier(head="dense")
    arrays = tasks.inputs(task, X)
    before = tasks.outputs(task, arrays)
    task.quantize("int8")
    after = tasks.outputs(task, arrays)
    assert 0 < abs(after - before).max() < 0.1
    assert task.output_dense.quantization_mode == "int8"
    for _ in range(2):
        task.save(tmp_path / "task.keras")
        task = keras.saving.load_model(tmp_path / "task.keras")
        np.testing.assert_array_equal(tasks.outputs(task, arrays), after)
    assert task.pooled_dense.quantization_mode == "int8"
    assert task.output_dense.kernel.dtype == "int8"


def test_fresh_task_can_be_quantized():
    # Before its preprocessor was ever called.
    with pytest.warns(UserWarning, match="does not have a `quantize`"):
        classifier().quantize("int8")


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_lora_trains_and_is_merged_in_a_file(tmp_path):
    task = classifier()
    task.backbone.enable_lora(2)
    task.compile(optimizer=keras.optimizers.Adam(0.1))
    arrays = tasks.inputs(task, X)
    before = tasks.outputs(task, arrays)
    frozen = [w.numpy() for w in task.backbone.non_trainable_weights]
    task.fit(X, Y, verbose=0)
    names = {w.path.split("/")[-1] for w in task.backbone.trainable_weights}
    assert {"lora_kernel_a", "lora_kernel_b"} <= names
    for weight, old in zip(task.backbone.non_trainable_weights, frozen):
        if "seed" not in weight.path:
            np.testing.assert_array_equal(weight.numpy(), old)
    after = tasks.outputs(task, arrays)
    assert abs(after - before).max() > 1e-3
    task.save(tmp_path / "task.keras")
    revived = keras.saving.load_model(tmp_path / "task.keras")
    np.testing.assert_allclose(tasks.outputs(revived, arrays), after, atol=1e-5)


def test_config_round_trip():
    options = {"head": "dense", "activation": "softmax", "dropout": 0.3}
    task = classifier(name="sorter", **options)
    config = json.loads(json.dumps(task.get_config()))
    assert {name: config[name] for name in options} == options
    revived = ConvBertTextClassifier.from_config(config)
    assert revived.get_config() == task.get_config()
    assert revived.count_params() == task.count_params()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"head": "deep"}, 'Expected "linear" or "dense". Received: head=deep'),
        ({"num_classes": 0}, "positive integer. Received: num_classes=0"),
        ({"num_classes": 2.0}, "Received: num_classes=2.0"),
        ({"dropout": 1.5}, "1.5"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        classifier(**options)


def test_bad_samples_are_refused():
    task = classifier()
    with pytest.raises(ValueError, match=r"same number of samples.*\[11, 12\]"):
        task.fit(X, Y[:11])
    with pytest.raises(ValueError, match="does not apply preprocessing"):
        task(X)
    with pytest.raises(ValueError, match="must be strings"):
        task.predict([1, 2], verbose=0)
    uncompiled = classifier(compile=False)
    with pytest.raises(ValueError, match="compile"):
        uncompiled.fit(X, Y, verbose=0)


@pytest.mark.once
def test_file_opens_on_the_other_backends(tmp_path):
    task = classifier()
    task.fit(X, Y, verbose=0)
    task.save(tmp_path / "task.keras")
    np.save(tmp_path / "wanted.npy", task.predict(X, verbose=0))
    script = textwrap.dedent(
        """
        import sys
        import keras
        import numpy as np
        import keras_convbert

        task = keras.saving.load_model(sys.argv[1] + "/task.keras")
        assert int(task.optimizer.iterations) == 1
        wanted = np.load(sys.argv[1] + "/wanted.npy")
        found = task.predict(sys.argv[2:], verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        task.fit(sys.argv[2:], np.arange(12) % 3, verbose=0)
        task.save(sys.argv[1] + f"/{keras.backend.backend()}.keras")
        """
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), *X],
            env={**os.environ, "KERAS_BACKEND": backend},
            stderr=subprocess.PIPE,
            text=True,
        )
        for backend in ("jax", "torch")
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    # And back, with what torch adds.
    for backend in ("jax", "torch"):
        revived = keras.saving.load_model(tmp_path / f"{backend}.keras")
        assert int(revived.optimizer.iterations) == 2


@pytest.mark.once
def test_strings_without_tensorflow():
    script = textwrap.dedent(
        """
        import sys

        sys.modules["tensorflow"] = None
        sys.modules["tensorflow_text"] = None
        import grain
        import numpy as np
        from tests.models.convbert import tasks
        from tests.models.convbert import texts

        x, y = texts.letters(6), np.arange(6) % 3
        task = tasks.classifier()
        tokenizer = task.preprocessor.tokenizer
        assert tokenizer(["a b"]) == [[5, 6]]
        assert tokenizer.detokenize([5, 6]) == "a b"
        task.fit(x, y, verbose=0)
        wanted = task.predict(x, verbose=0)
        dataset = grain.MapDataset.source(x).batch(3)
        found = task.predict(dataset, verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        masked_lm = tasks.masked_lm()
        masked_lm.fit(x, verbose=0)
        assert "tensorflow" not in {
            name.split(".")[0] for name, m in sys.modules.items() if m
        }
        """
    )
    subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=True,
    )
