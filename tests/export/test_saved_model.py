import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import keras_convbert
from keras_convbert.export import export_saved_model
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer
from tests.export import tiny

TEXTS = ["a good film", "Bad\0 films!", "Café 電影", "good " * 30]
HOSTILE = [
    b"",
    b" \n\t",
    b"\x00",
    b"go\x00od\x00",
    b"\xff\xfe good \xc3",
    b"\xed\xa0\x80 bad",
    "\u202egood\u200b \U0001f600".encode(),
    b"[MASK] [SEP]",
    b"good " * 200_000,
    b"x" * 1_000_000,
]


# The operations outside of TensorFlow itself. TensorFlow Text 2.12.1 has them,
# which TensorFlow Serving up to 2.19.1 embeds.
TEXT_OPERATIONS = {"FastWordpieceTokenizeWithOffsets"}
# The operations that TensorFlow has and TensorFlow 2.18 lacks begin with these.
NEW_OPERATIONS = (
    "DecodeJxl",
    "DecodeWebP",
    "TPUDummyInput",
    "XlaSparseDenseMatmulCustomCombiner",
)


def answers(served, signature="serving_default", **inputs):
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    outputs = served.signatures[signature](**tensors)
    return {name: value.numpy() for name, value in outputs.items()}


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def test_strings_are_answered_as_by_predict(served):
    model, served = served("classifier")
    wanted = model.predict(TEXTS, verbose=0)
    found = answers(served, "text", text=TEXTS)
    assert np.ptp(wanted, axis=0).min() > 0.01
    np.testing.assert_allclose(found["logits"], wanted, atol=1e-6)
    np.testing.assert_allclose(
        found["probabilities"], softmax(wanted), atol=1e-6
    )
    names = [tiny.LABELS[i].encode() for i in wanted.argmax(-1)]
    assert found["label"].tolist() == names


@pytest.mark.once
def test_pairs_are_answered_as_by_predict(served):
    model, served = served("classifier")
    second = ["bad", "", "the café", "films " * 30]
    found = answers(served, "text_pair", text=TEXTS, text_pair=second)
    wanted = model.predict((TEXTS, second), verbose=0)
    np.testing.assert_allclose(found["logits"], wanted, atol=1e-6)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"as many .*`text_pair`"
    ):
        answers(served, "text_pair", text=TEXTS, text_pair=["a"])


@pytest.mark.once
def test_hostile_strings_are_answered_as_by_predict(served):
    model, served = served("classifier")
    found = answers(served, "text", text=HOSTILE)["logits"]
    batch = tf.data.Dataset.from_tensors(HOSTILE)
    wanted = model.predict(batch, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    alone = [answers(served, "text", text=[text]) for text in HOSTILE]
    alone = np.concatenate([answer["logits"] for answer in alone])
    np.testing.assert_allclose(alone, wanted, atol=1e-6)


@pytest.mark.once
def test_an_empty_batch_has_empty_answers(served):
    found = answers(
        served("classifier")[1], "text", text=np.array([], dtype="S1")
    )
    assert found["logits"].shape == (0, 3)
    assert found["label"].shape == (0,)


@pytest.mark.once
def test_ids_of_any_batch_and_length_are_answered_as_by_the_model(served):
    model, served = served("classifier")
    for shape in [(3, 9), (3, 16), (3, 1)]:
        inputs = tiny.token_ids(model, shape)
        wanted = keras.ops.convert_to_numpy(model(inputs))
        found = answers(served, **inputs)
        np.testing.assert_allclose(found["logits"], wanted, atol=1e-6)


@pytest.mark.once
def test_signatures_are_these(served):
    ids = ("token_ids", "segment_ids", "padding_mask")
    inputs = {
        "serving_default": {name: ((None, None), "int32") for name in ids},
        "text": {"text": ((None,), "string")},
        "text_pair": {
            name: ((None,), "string") for name in ("text", "text_pair")
        },
    }
    outputs = {
        "logits": ((None, 3), "float32"),
        "probabilities": ((None, 3), "float32"),
        "label": ((None,), "string"),
    }

    def described(specs):
        return {k: (tuple(s.shape), s.dtype.name) for k, s in specs.items()}

    signatures = served("classifier")[1].signatures
    assert signatures.keys() == inputs.keys()
    for name, signature in signatures.items():
        taken = signature.structured_input_signature[1]
        assert described(taken) == inputs[name]
        assert described(signature.structured_outputs) == outputs


FRESH_PROCESS = """
import json, sys
import tensorflow as tf
import tensorflow_text

path, texts = json.load(sys.stdin)
served = tf.saved_model.load(path)
logits = served.signatures["text"](text=tf.constant(texts))["logits"]
mine = sorted({m.split(".")[0] for m in sys.modules if m.startswith("keras_")})
print(json.dumps([logits.numpy().tolist(), mine]))
"""


@pytest.mark.once
def test_a_process_with_tensorflow_alone_gives_the_same(exported, tmp_path):
    model, path = exported("classifier")
    process = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS],
        input=json.dumps([str(path), TEXTS]),
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    found, imported = json.loads(process.stdout)
    assert imported == []
    wanted = model.predict(TEXTS, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.once
def test_each_weight_is_stored_once(exported):
    model, path = exported("classifier")
    parameters = sum(4 * int(np.prod(w.shape)) for w in model.weights)
    stored = path / "variables" / "variables.data-00000-of-00001"
    # The names of the variables are in the file too.
    assert parameters < stored.stat().st_size < 1.01 * parameters + 12_000


@pytest.mark.long
@pytest.mark.once
def test_the_graph_of_a_large_vocabulary_is_small(tmp_path):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [f"{'##' * (i % 4 == 0)}w{i:x}" for i in range(30_517)]
    preprocessor = ConvBertTextClassifierPreprocessor(
        ConvBertTokenizer([*special, *words]), sequence_length=12
    )
    model = ConvBertTextClassifier(
        tiny.backbone(vocabulary_size=30_522), 3, preprocessor=preprocessor
    )
    path = export_saved_model(model, tmp_path, verbose=False)
    signatures = 2
    mebibyte = 2**20
    assert (path / "saved_model.pb").stat().st_size <= (
        4 * mebibyte + 2 * mebibyte * signatures
    )


@pytest.mark.once
@pytest.mark.parametrize("name", tiny.MODELS)
def test_the_graph_names_no_folder_and_only_known_operations(name, exported):
    path = exported(name)[1]
    content = (path / "saved_model.pb").read_bytes()
    package = pathlib.Path(keras_convbert.__file__).parent
    for folder in (path.parent, package, pathlib.Path(sys.prefix)):
        assert str(folder).encode() not in content
    graph = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0]
    used = {op.name for op in graph.meta_info_def.stripped_op_list.op}
    assert {op for op in used if not hasattr(tf.raw_ops, op)} <= TEXT_OPERATIONS
    assert not [op for op in used if op.startswith(NEW_OPERATIONS)]


@pytest.mark.once
def test_softmax_classifier_gives_logarithms_as_logits(tmp_path):
    model = tiny.classifier(strings=False, activation="softmax")
    # One class so sure that the others underflow to 0.
    model.output_dense.bias.assign([0.0, 2.0, 200.0])
    inputs = tiny.token_ids(model)
    wanted = keras.ops.convert_to_numpy(model(inputs))
    path = export_saved_model(model, tmp_path, verbose=False)
    found = answers(tf.saved_model.load(path), **inputs)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-6)
    assert np.isfinite(found["logits"]).all()
    np.testing.assert_allclose(softmax(found["logits"]), wanted, atol=1e-6)
    assert found["label"].tolist() == [2, 2, 2]
    assert found["label"].dtype == "int64"


def assert_ids_are_answered_in_float32(model, served, atol):
    inputs = tiny.token_ids(model)
    wanted = model(inputs)
    if not isinstance(wanted, dict):
        wanted = {"logits": wanted}
    assert [*served.signatures] == ["serving_default"]
    found = answers(served, **inputs)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        value = keras.ops.convert_to_numpy(keras.ops.cast(value, "float32"))
        assert found[name].dtype == "float32"
        np.testing.assert_allclose(found[name], value, atol=atol)


@pytest.mark.once
@pytest.mark.parametrize("name", ["backbone", "masked_lm"])
def test_models_without_strings_are_answered_by_ids(name, served):
    assert_ids_are_answered_in_float32(*served(name), atol=1e-6)


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "atol"),
    [
        pytest.param(
            lambda: tiny.backbone(dtype="mixed_bfloat16"),
            0.04,  # 8 bits of mantissa; the outputs are of size one
            id="bfloat16",
        ),
        pytest.param(
            lambda: tiny.quantized(tiny.backbone()),
            1e-6,
            id="int8",
            marks=pytest.mark.long,
        ),
    ],
)
def test_models_of_other_dtypes_are_answered_in_float32(make, atol, tmp_path):
    model = make()
    path = export_saved_model(model, tmp_path, version=7, verbose=False)
    assert path == tmp_path / "7"
    assert_ids_are_answered_in_float32(model, tf.saved_model.load(path), atol)
