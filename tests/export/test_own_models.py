"""Functional models that users make on the inputs of a backbone."""

import keras
import numpy as np
import pytest

from keras_convbert.export import export_onnx
from keras_convbert.export import export_saved_model
from keras_convbert.models import ConvBertPretrainerPreprocessor
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from tests.export import tiny

TEXTS = ["a good film", "Bad films!", "good " * 30]


def inlined(encoder):
    """A model of two outputs whose layers are those of the backbone."""
    x = encoder.output
    # Without a mask, the mean depends on the padding.
    mean = keras.layers.GlobalAveragePooling1D()(x["sequence_output"])
    return keras.Model(
        encoder.input,
        {
            "topic": keras.layers.Dense(3, activation="softmax")(mean),
            "stars": keras.layers.Dense(1)(x["pooled_output"]),
        },
    )


def nested(encoder):
    """A model with one output, of which the backbone is a layer."""
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name)
        for name in encoder.input
    }
    x = encoder(inputs)["pooled_output"]
    return keras.Model(inputs, keras.layers.Dense(2, name="score")(x))


def packing(cls=ConvBertTextClassifierPreprocessor, **options):
    options = {"sequence_length": 12, **options}
    return cls(tiny.tokenizer(), **options)


def predicted(model, inputs):
    found = model.predict(inputs, verbose=0)
    return found if isinstance(found, dict) else {"score": found}


def assert_served(function, model, inputs, **tensors):
    import tensorflow as tf

    found = function(**{k: tf.constant(v) for k, v in tensors.items()})
    wanted = predicted(model, inputs)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6)


@pytest.mark.once
def test_ids_and_strings_are_answered_as_by_predict(tmp_path):
    import tensorflow as tf

    model = tiny.with_larger_weights(inlined(tiny.backbone()))
    preprocessor = packing()
    path = export_saved_model(
        model, tmp_path / "own", preprocessor=preprocessor, verbose=False
    )
    served = tf.saved_model.load(path).signatures
    assert {*served} == {"serving_default", "text", "text_pair"}
    ids = tiny.token_ids(model)
    assert_served(served["serving_default"], model, ids, **ids)
    assert_served(served["text"], model, preprocessor(x=TEXTS), text=TEXTS)
    pairs = (TEXTS, TEXTS[::-1])
    assert_served(
        served["text_pair"],
        model,
        preprocessor(x=pairs),
        text=pairs[0],
        text_pair=pairs[1],
    )
    page = (path / "README.md").read_text()
    assert "A SavedModel of `Functional`" in page
    assert (path / "assets.extra" / "tf_serving_warmup_requests").stat().st_size


@pytest.mark.once
@pytest.mark.parametrize(
    "make", [inlined, pytest.param(nested, marks=pytest.mark.long)]
)
def test_ids_are_checked_against_the_limits_of_the_backbone(make, tmp_path):
    import tensorflow as tf

    model = tiny.with_larger_weights(make(tiny.backbone()))
    path = export_saved_model(model, tmp_path / "own", verbose=False)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    ids = tiny.token_ids(model)
    assert_served(serve, model, ids, **ids)
    too_long = {name: tf.zeros((1, 17), "int32") for name in ids}
    with pytest.raises(tf.errors.InvalidArgumentError, match="from 1 to 16"):
        serve(**too_long)
    for name, limit in [("token_ids", 15), ("segment_ids", 2)]:
        unknown = {**ids, name: np.full_like(ids[name], limit)}
        tensors = {key: tf.constant(value) for key, value in unknown.items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match=name):
            serve(**tensors)


@pytest.mark.long
@pytest.mark.one_backend("torch")
def test_the_tensorflow_process_opens_an_own_model(tmp_path):
    import tensorflow as tf

    model = tiny.with_larger_weights(inlined(tiny.backbone()))
    preprocessor = packing(ConvBertPretrainerPreprocessor)
    path = export_saved_model(
        model, tmp_path / "own", preprocessor=preprocessor, verbose=False
    )
    served = tf.saved_model.load(path).signatures
    assert_served(served["text"], model, preprocessor(x=TEXTS), text=TEXTS)


@pytest.mark.once
@pytest.mark.long
def test_an_own_model_is_written_as_onnx(tmp_path):
    import onnxruntime

    model = inlined(tiny.backbone())
    path = export_onnx(model, tmp_path / "own.onnx", verbose=False)
    ids = tiny.token_ids(model)
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, ids), strict=True))
    for name, value in predicted(model, ids).items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


@pytest.mark.one_backend("torch")
def test_classes_that_the_process_cannot_load_are_refused(tmp_path):
    encoder = tiny.backbone()
    model = keras.Model(
        encoder.input, Doubled(name="twice")(encoder.output["pooled_output"])
    )
    with pytest.raises(
        ValueError,
        match=r"KERAS_BACKEND=tensorflow.*layer='twice' of class tests\.",
    ):
        export_saved_model(model, tmp_path, verbose=False)


def on_other_inputs():
    x = keras.Input((4,), name="pixels")
    return keras.Model({"pixels": x}, keras.layers.Dense(1)(x))


def without_backbone():
    encoder = tiny.backbone()
    ids = encoder.input["token_ids"]
    return keras.Model(encoder.input, keras.layers.Embedding(9, 2)(ids))


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (on_other_inputs, r"inputs of a backbone.*Received: inputs=\['pixels'"),
        (without_backbone, "a model on a backbone.*without an embedding of"),
    ],
)
def test_other_functional_models_are_refused(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_saved_model(make(), tmp_path)


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (tiny.backbone, {}, "`preprocessor=None` for a backbone or a task"),
        (lambda: inlined(tiny.backbone()), {"sequence_length": 17}, "at most"),
        (lambda: inlined(tiny.backbone(vocabulary_size=9)), {}, "at most"),
    ],
    ids=["of-a-backbone", "too-long", "too-many-tokens"],
)
def test_a_preprocessor_that_does_not_fit_is_refused(
    make, options, message, tmp_path
):
    with pytest.raises(ValueError, match=message):
        export_saved_model(make(), tmp_path, preprocessor=packing(**options))


@pytest.mark.once
def test_a_tokenizer_is_not_a_preprocessor(tmp_path):
    model = inlined(tiny.backbone())
    with pytest.raises(ValueError, match=r"ConvBertTextClassifierPreprocessor"):
        export_saved_model(model, tmp_path, preprocessor=tiny.tokenizer())
