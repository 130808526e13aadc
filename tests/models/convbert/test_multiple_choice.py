"""Multiple choice, against `transformers` and after saving."""

import itertools
import json

import keras
import numpy as np
import pytest

from keras_convbert.export import export_saved_model
from keras_convbert.models import ConvBertMultipleChoice
from keras_convbert.models import ConvBertMultipleChoicePreprocessor
from keras_convbert.models import ConvBertTokenClassifier
from tests.layers.lifecycle import to_numpy
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert.transformers import test_export
from tests.models.convbert.transformers import transformers_models as theirs

NEAR = {"atol": 1e-5, "rtol": 1e-5}
SMALL = theirs.SMALL
CONTEXTS = ["a b", "c", "d e f", "g"]
CHOICES = [["a", "b c", ""], ["d", "e", "f"], ["g", "h", "i"], ["j", "k", "l"]]
X = (CONTEXTS, CHOICES)
Y = [0, 2, 1, 0]


def multiple_choice(backbone_options=None, **options):
    preprocessor = ConvBertMultipleChoicePreprocessor(
        texts.tokenizer(), sequence_length=8
    )
    task = ConvBertMultipleChoice(
        tasks.backbone(
            **{
                "hidden_dim": 8,
                "intermediate_dim": 16,
                "num_heads": 2,
                **(backbone_options or {}),
            }
        ),
        **{"preprocessor": preprocessor, **options},
    )
    return tasks.tiny.eagerly_on_tensorflow(task)


def arrays(choices=3, length=8):
    """Inputs of shape `(2, choices, length)`, some of it padding."""
    generator = np.random.default_rng(0)
    shape = (2, choices, length)
    lengths = generator.integers(3, length + 1, shape[:2])
    mask = (np.arange(length) < lengths[..., None]).astype("int32")
    return {
        "token_ids": generator.integers(5, 20, shape).astype("int32") * mask,
        "segment_ids": generator.integers(0, 2, shape).astype("int32"),
        "padding_mask": mask,
    }


HEADS = [
    {},
    {
        "summary_type": "first",
        "summary_use_proj": True,
        "summary_activation": "gelu",
        "summary_first_dropout": 0.2,
        "summary_last_dropout": 0.3,
    },
    {"summary_type": "mean", "summary_activation": "tanh"},
    {"summary_type": "cls_index"},
]


@pytest.mark.parametrize("settings", HEADS)
def test_logits_are_theirs_both_ways(settings, tmp_path, recwarn):
    model = theirs.make("ForMultipleChoice", **SMALL, **settings)
    folder = theirs.save(model, tmp_path / "theirs", tokenizer=True)
    task = ConvBertMultipleChoice.from_preset(folder)
    for choices, length in ((3, 8), (1, 11)):
        wanted = theirs.call(model, arrays(choices, length))
        found = to_numpy(task(arrays(choices, length)))
        np.testing.assert_allclose(found, wanted, **NEAR)
    assert task.dropout == settings.get("summary_last_dropout", 0.0)
    assert task.first_dropout == settings.get("summary_first_dropout", 0.0)
    task.export_to_transformers(tmp_path / "ours")
    again = test_export.open_theirs("ForMultipleChoice", tmp_path / "ours")
    np.testing.assert_allclose(
        theirs.call(again, arrays()), theirs.call(model, arrays()), **NEAR
    )
    config = json.loads((tmp_path / "ours" / "config.json").read_text())
    for key in settings.keys() - {"summary_type"}:
        assert config[key] == settings[key], key
    assert [str(w.message) for w in recwarn if w.category is UserWarning] == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"summary_type": "attn"}, "summary_type='attn'"),
        ({"summary_activation": "gelu_new"}, "summary_activation='gelu_new'"),
        (
            {"summary_use_proj": True, "summary_proj_to_labels": True},
            "summary_proj_to_labels=True",
        ),
    ],
)
def test_other_heads_are_refused(settings, named, tmp_path):
    model = theirs.make("ForMultipleChoice", **SMALL)
    folder = theirs.save(model, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    with pytest.raises(ValueError, match=named):
        ConvBertMultipleChoice.from_preset(folder, preprocessor=None)


@pytest.mark.once
def test_heads_of_the_same_names_are_told_apart(tmp_path):
    theirs.save(
        theirs.make("ForTokenClassification", **SMALL),
        tmp_path / "tokens",
        True,
    )
    with pytest.warns(UserWarning, match="logits/kernel.* is new"):
        ConvBertMultipleChoice.from_preset(tmp_path / "tokens")
    theirs.save(
        theirs.make("ForMultipleChoice", **SMALL), tmp_path / "choice", True
    )
    with pytest.raises(ValueError, match="no head for ConvBertTokenClassifier"):
        ConvBertTokenClassifier.from_preset(tmp_path / "choice")


def test_pairs_are_packed_and_scored_one_by_one():
    task = multiple_choice(projection=True, activation="tanh")
    packed = task.preprocessor(x=X)
    assert packed["token_ids"].shape == (4, 3, 8)
    logits = task.predict(X, batch_size=3, verbose=0)
    assert logits.shape == (4, 3)
    for i, context in enumerate(CONTEXTS):
        for j, choice in enumerate(CHOICES[i]):
            pair = task.preprocessor.packing(x=([context], [choice]))
            for name, values in pair.items():
                np.testing.assert_array_equal(
                    to_numpy(packed[name])[i, j], to_numpy(values)[0]
                )
            found = task.predict(([context], [[choice]]), verbose=0)
            np.testing.assert_allclose(found, [[logits[i, j]]], **NEAR)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_it_learns_and_is_saved(dtype, tmp_path):
    task = multiple_choice({"dtype": dtype}, projection=True, dropout=0.0)
    task.compile(keras.optimizers.Adam(0.03), run_eagerly=tasks.tiny.EAGERLY)
    choices = [[*order] for order in itertools.permutations("acd")]
    labels = [of_one.index("a") for of_one in choices]
    epochs = 40 if dtype == "float32" else 1
    history = task.fit((["b"] * 6, choices), labels, epochs=epochs, verbose=0)
    if dtype == "float32":
        assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert task.evaluate(X, Y, verbose=0, return_dict=True).keys() == {
        "loss",
        "sparse_categorical_accuracy",
    }
    wanted = task.predict(X, verbose=0)
    atol = 1e-6 if dtype == "float32" else 0.02  # one bfloat16 step
    task.save(tmp_path / "task.keras")
    task.save_to_preset(tmp_path / "preset")
    for revived in (
        keras.saving.load_model(tmp_path / "task.keras"),
        ConvBertMultipleChoice.from_preset(tmp_path / "preset", dtype=dtype),
    ):
        assert revived.projection
        found = revived.predict(X, verbose=0)
        np.testing.assert_allclose(
            found.astype("float32"), wanted.astype("float32"), atol=atol
        )


@pytest.mark.once
def test_the_accuracy_follows_the_labels_of_the_loss():
    task = multiple_choice()
    task.compile(
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    found = task.evaluate(X, np.eye(3)[Y], verbose=0, return_dict=True)
    right = task.predict(X, verbose=0).argmax(-1) == Y
    assert found["categorical_accuracy"] == pytest.approx(right.mean())
    with pytest.warns(UserWarning, match="from_logits=True`. Received"):
        task.compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="Received: 3 for sample 0"):
        task.fit(X, [3, *Y[1:]], verbose=0)


def test_its_graph_is_saved_and_cloned(tmp_path):
    task = multiple_choice(pooling="mean")
    own = keras.Model(task.input, keras.ops.softmax(task.output))
    wanted = to_numpy(own(arrays()))
    own.save(tmp_path / "own.keras")
    cloned = keras.models.clone_model(own)
    cloned.set_weights(own.get_weights())
    for revived in (keras.saving.load_model(tmp_path / "own.keras"), cloned):
        found = to_numpy(revived(arrays()))
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.one_backend("torch")
def test_datasets_of_tensorflow_are_packed_in_the_graph():
    import tensorflow as tf

    task = multiple_choice()
    wanted = task.predict(X, verbose=0)
    dataset = tf.data.Dataset.from_tensor_slices((X,)).batch(2)
    found = task.predict(dataset, verbose=0)
    np.testing.assert_allclose(found, wanted, **NEAR)
    wrong = tf.data.Dataset.from_tensor_slices((X, [0, 3, 0, 0])).batch(2)
    with pytest.raises(Exception, match="labels from 0 to 2"):
        task.fit(wrong, verbose=0)


@pytest.mark.once
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (["a", "b"], "a tuple `.contexts, choices.`"),
        ((["a", "b"], [["a"], ["a", "b"]]), r"with \[1, 2\] choices"),
        ((["a"], [[]]), r"with \[0\] choices"),
        ((["a"], ["b"]), "1 lists of choices"),
        ((["a"], [["b"], ["c"]]), "1 contexts and 2 lists"),
    ],
)
def test_inputs_of_another_form_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        multiple_choice().preprocessor(x=x)


@pytest.mark.once
def test_labels_and_arguments_are_checked(tmp_path):
    task = multiple_choice()
    for labels in ([0, 3, 1, 0], [0, -1, 1, 0]):
        with pytest.raises(ValueError, match="labels from 0 to 2"):
            task.fit(X, labels, verbose=0)
    with pytest.raises(ValueError, match="pooling='max'"):
        multiple_choice(pooling="max")
    with pytest.raises(ValueError, match="one of the kinds"):
        export_saved_model(task, tmp_path)
    with pytest.raises(ValueError, match="activation='elu'"):
        multiple_choice(activation="elu").export_to_transformers(tmp_path / "m")
