"""Sample requests for a served model, and their wire format."""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_convbert.export.request_limits import RequestLimits
from keras_convbert.export.signatures import DEFAULT
from keras_convbert.export.signatures import text_signatures
from keras_convbert.files import AnyPath

Texts = Sequence[str | tuple[str, str]]

DEFAULT_TEXTS = ("A short text.", "A text of some more words. " * 12)
# Field numbers of the TensorFlow Serving protocol buffers.
PREDICT_LOG = 6
LOGGED_REQUEST = 1
MODEL_SPEC = 1
MODEL_NAME = 1
SIGNATURE_NAME = 3
INPUTS = 2
KEY, VALUE = 1, 2


class Request(NamedTuple):
    """The inputs of a call of a signature."""

    signature: str
    inputs: dict[str, np.ndarray]


def default_texts(limits: RequestLimits) -> Texts:
    """Returns a short and a long text that the limits of a servable allow."""
    # A text has at most one window per byte.
    size = min(limits.max_text_bytes, limits.max_windows)
    return [text[:size] for text in DEFAULT_TEXTS]


def sample_requests(
    model: Any, signatures: Iterable[str], texts: Texts, max_rows: int
) -> list[Request]:
    """Returns, for each signature, one request per text and one with all texts.

    Args:
        model: the served model.
        signatures: names of its signatures.
        texts: strings, or pairs of strings. A signature on pairs uses a single
            string twice; a signature on strings uses the first of a pair.
        max_rows: int. Maximum number of texts, or sequences, per request.
    """
    requests = []
    kinds = text_signatures(model)
    for signature in signatures:
        if signature == DEFAULT:
            requests += [
                Request(signature, sample) for sample in _ids(model, max_rows)
            ]
            continue
        names = kinds[signature].inputs
        pairs = [
            (text, text) if isinstance(text, str) else tuple(text)
            for text in texts
        ]
        batches = [[pair] for pair in pairs]
        if len(pairs) > 1 and max_rows > 1:
            batches.append(pairs[:max_rows])
        for batch in batches:
            columns = zip(*batch, strict=True)
            inputs = {
                name: np.array([text.encode() for text in column], object)
                for name, column in zip(names, columns, strict=False)
            }
            requests.append(Request(signature, inputs))
    return requests


def _ids(model: Any, max_rows: int) -> list[dict[str, np.ndarray]]:
    """Returns inputs of ids: one short sequence, then two long sequences."""
    backbone = getattr(model, "backbone", model)
    shapes = (1, 8), (min(2, max_rows), backbone.max_sequence_length)
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
    """Writes the requests that TensorFlow Serving warms up with."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            predict_log = _field(LOGGED_REQUEST, encoded(request, model_name))
            writer.write(_field(PREDICT_LOG, predict_log))


def encoded(request: Request, model_name: str) -> bytes:
    """Serializes a request as a `PredictRequest` message.

    It is serialized by hand, because the package that defines the message is
    `tensorflow-serving-api`, which only clients need.
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
    """Serializes a length-delimited field of a protocol buffer."""
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
