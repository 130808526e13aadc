"""Warm-up requests and the page of a servable, by the official messages."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2

from keras_convbert.export import export_saved_model
from keras_convbert.export.requests import Request
from keras_convbert.export.requests import encoded
from keras_convbert.export.saved_model_writer import WARMUP
from tests.export import tiny

SIGNATURES = {
    "classifier": ["serving_default", "text", "text_pair"],
    "tagger": ["serving_default", "tokens"],
    "answerer": ["serving_default", "question_answer"],
    "embedder": ["serving_default", "text"],
}
pytestmark = pytest.mark.once


def run(folder, request):
    """What a server makes of a `PredictRequest`."""
    inputs = {
        name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()
    }
    signature = folder.signatures[request.model_spec.signature_name]
    return signature(**{k: tf.constant(v) for k, v in inputs.items()})


def warmup_requests(path):
    for record in tf.data.TFRecordDataset(str(path / WARMUP)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        assert log.WhichOneof("log_type") == "predict_log"
        yield log.predict_log.request


def test_a_request_is_that_of_the_official_messages():
    inputs = {
        "text": np.array([b"a\0b", "é".encode()], object),
        "token_ids": np.arange(6, dtype="int32").reshape(2, 3),
    }
    wanted = predict_pb2.PredictRequest()
    wanted.model_spec.name = "sentiment" * 40
    wanted.model_spec.signature_name = "text"
    for name, values in inputs.items():
        wanted.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    found = encoded(Request("text", inputs), "sentiment" * 40)
    assert predict_pb2.PredictRequest.FromString(found) == wanted


@pytest.mark.parametrize("name", SIGNATURES)
def test_warmup_calls_every_signature(name, exported, served):
    path, folder = exported(name)[1], served(name)[1]
    called = []
    for request in warmup_requests(path):
        assert request.model_spec.name == name
        outputs = run(folder, request)
        assert all(len(value) for value in outputs.values())
        called.append(request.model_spec.signature_name)
    assert {*called} == {*SIGNATURES[name]}
    assert len(called) <= 1000


def test_warmup_is_of_the_texts_that_were_given(tmp_path):
    path = export_saved_model(
        tiny.classifier(),
        tmp_path / "sentiment",
        signatures=["text_pair"],
        warmup=["good", ("bad", "film")],
        verbose=False,
    )
    pairs = [
        [
            tf.make_ndarray(request.inputs[name]).tolist()
            for name in ("text", "text_pair")
        ]
        for request in warmup_requests(path)
    ]
    assert pairs == [
        [[b"good"], [b"good"]],
        [[b"bad"], [b"film"]],
        [[b"good", b"bad"], [b"good", b"film"]],
    ]
    # Who names no signature gets the first.
    signatures = tf.saved_model.load(path).signatures
    assert {*signatures} == {"serving_default", "text_pair"}
    served = signatures["serving_default"].structured_input_signature[1]
    assert {*served} == {"text", "text_pair"}


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_requests_of_the_page_are_answered(name, exported, served):
    path, folder = exported(name)[1], served(name)[1]
    page = (path / "README.md").read_text(encoding="utf-8")
    sections = re.split(r"^## `(\w+)`$", page, flags=re.MULTILINE)[1:]
    assert sections[::2] == SIGNATURES[name]
    for signature, text in zip(sections[::2], sections[1::2], strict=True):
        body = json.loads(re.search(r"-d '\n(.*)\n'", text)[1])
        assert body["signature_name"] == signature
        serve = folder.signatures[signature]
        kind = serve.structured_input_signature[1]
        by_rest = serve(
            **{
                k: tf.constant(v, kind[k].dtype)
                for k, v in body["inputs"].items()
            }
        )
        request = built_by(re.search(r"```python\n(.*?)```", text, re.S)[1])
        assert request.model_spec.name == name
        assert request.model_spec.version.value == 1
        by_grpc = run(folder, request)
        for key, value in by_rest.items():
            np.testing.assert_array_equal(value, by_grpc[key])
            assert f"- `{key}`, {value.dtype.name}" in text
            assert f'outputs["{key}"]' in text


def built_by(code):
    """The request that the page's Python makes, before it opens a channel."""
    before, after = code.split("channel = ")
    compile(after, "page", "exec")
    names = {}
    exec(before, names)
    return names["request"]
