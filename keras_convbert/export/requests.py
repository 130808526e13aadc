"""Requests to a served model: samples of them, and their wire format."""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.export.signatures import DEFAULT
from keras_convbert.export.signatures import text_signatures
from keras_convbert.files import AnyPath

Texts = Sequence[str | tuple[str, str]]

DEFAULT_TEXTS = ("A short text.", "A text of some more words. " * 12)
# Numbers of fields in TensorFlow Serving's protocol buffers.
PREDICT_LOG = 6
LOGGED_REQUEST = 1
MODEL_SPEC = 1
MODEL_NAME = 1
SIGNATURE_NAME = 3
INPUTS = 2
KEY, VALUE = 1, 2


class Request(NamedTuple):
    """A call of a signature."""

    signature: str
    inputs: dict[str, np.ndarray]


def sample_requests(
    model: Any, signatures: Iterable[str], texts: Texts
) -> list[Request]:
    """For each signature, a request with each text, and one with all.

    Args:
        model: the model that is served.
        signatures: their names.
        texts: strings, or pairs of them. A signature of pairs takes a string
            for both; one of strings takes the first of a pair.
    """
    requests = []
    kinds = text_signatures(model)
    for signature in signatures:
        if signature == DEFAULT:
            requests += [Request(signature, sample) for sample in _ids(model)]
            continue
        names = kinds[signature].inputs
        rows = [
            (text, text) if isinstance(text, str) else tuple(text)
            for text in texts
        ]
        for some in [[row] for row in rows] + [rows] * (len(rows) > 1):
            columns = zip(*some, strict=True)
            inputs = {
                name: np.array([text.encode() for text in column], object)
                for name, column in zip(names, columns, strict=False)
            }
            requests.append(Request(signature, inputs))
    return requests


def _ids(model: Any) -> list[dict[str, np.ndarray]]:
    """Inputs of ids, one short row and two long ones."""
    backbone = getattr(model, "backbone", model)
    shapes = (1, 8), (2, backbone.max_sequence_length)
    values = {"padding_mask": 1}
    return [
        {
            name: np.full(
                (rows, 1 if name == "mask_positions" else length),
                values.get(name, 0),
                "int32",
            )
            for name in model.input
        }
        for rows, length in shapes
    ]


def write_warmup(
    path: AnyPath, requests: Iterable[Request], model_name: str
) -> None:
    """Writes what TensorFlow Serving calls before it calls a model ready."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            predict_log = _field(LOGGED_REQUEST, encoded(request, model_name))
            writer.write(_field(PREDICT_LOG, predict_log))


def encoded(request: Request, model_name: str) -> bytes:
    """A `PredictRequest` as bytes.

    Written by hand: the package that has the message is for clients.
    """
    import tensorflow as tf

    spec = _field(MODEL_NAME, model_name.encode())
    spec += _field(SIGNATURE_NAME, request.signature.encode())
    message = _field(MODEL_SPEC, spec)
    for name, values in request.inputs.items():
        tensor = tf.make_tensor_proto(values).SerializeToString()
        entry = _field(KEY, name.encode()) + _field(VALUE, tensor)
        message += _field(INPUTS, entry)
    return message


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, as protocol buffers have them."""
    length_delimited = 2
    return (
        _varint(number << 3 | length_delimited)
        + _varint(len(content))
        + (content)
    )


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
