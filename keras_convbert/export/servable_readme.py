"""Writes the README of an exported SavedModel."""

import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_convbert.export.request_limits import RequestLimits
from keras_convbert.export.requests import Request
from keras_convbert.export.signatures import model_title
from keras_convbert.version import __version__

SIGNATURE = """
## `{signature}`

{inputs}

{outputs}

REST request, a POST to `/v1/models/{model}/versions/{version}:predict`:

```bash
curl http://localhost:8501/v1/models/{model}/versions/{version}:predict -d '
{rest}
'
```

gRPC request in Python:

```python
import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

request = predict_pb2.PredictRequest()
request.model_spec.name = "{model}"
request.model_spec.version.value = {version}
request.model_spec.signature_name = "{signature}"
{assignments}

channel = grpc.insecure_channel("localhost:8500")
service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
outputs = service.Predict(request, timeout=60).outputs
{reading}
```
"""

HEAD = """\
# {model}, version {version}

A SavedModel of `{kind}`, written by keras_convbert {library} with TensorFlow
{tensorflow}. The server needs TensorFlow 2.18 or later. Start it in the folder
that contains `{model}`:

```bash
docker run -p 8500:8500 -p 8501:8501 \\
    -v "$PWD/{model}:/models/{model}" -e MODEL_NAME={model} \\
    tensorflow/serving
```

On a machine with few cores, add the server option
`--tensorflow_intra_op_parallelism=1` after the image name. It makes small
requests faster.

Strings are UTF-8; invalid bytes are removed. A gRPC client needs
`pip install tensorflow tensorflow-serving-api`. A Python program that loads
this folder without a server must `import tensorflow_text`.
"""

LIMITS = """
Limits: a request has at most {max_rows} rows, a text at most {max_text_bytes}
bytes and, in `tokens` and `question_answer`, {max_windows} windows. A request
over a limit gets an `InvalidArgument` error that names it.
"""

MEANINGS = {
    "label": "name or number of the class; with several labels per text, the "
    'name of each class with a probability over 0.5 (or 1), and `""` (or 0) '
    "for the others",
    "logits": "scores before the softmax or sigmoid",
    "probabilities": "one per class, in the order of the classes",
    "score": "predicted numbers of a regression model",
    "embedding": "one vector per text",
}
OF_SIGNATURE = {
    "tokens": {
        "label": 'label of each word, `""` after the last word of a text',
        "probability": "probability of the label, 0 after the last word",
        "start": "position of the first character of the word, in code "
        "points, -1 after the last word",
        "end": "position after the last character of the word, -1 after the "
        "last word",
    },
    "question_answer": {
        "text": 'the answer, `""` if the context has none',
        "start": "position of the first character of the answer in the "
        "context, in code points",
        "end": "position after the last character of the answer",
        "score": "softmax probability among the 20 best answers",
        "no_answer": "score of an empty answer, which `predict_answers` "
        "compares with `threshold`",
    },
}


def readme(
    model: Any,
    name: str,
    version: int,
    requests: Sequence[Request],
    outputs: Mapping[str, Mapping[str, Any]],
    limits: RequestLimits,
) -> str:
    """Returns the README, in Markdown.

    Args:
        model: the served model.
        name: name of the model on the server.
        version: version of the model.
        requests: sample requests. The README shows the first of each
            signature.
        outputs: tensor specs of the outputs of each signature, by name.
        limits: the limits of requests.
    """
    import tensorflow as tf

    shown: dict[str, Request] = {}
    for request in requests:
        shown.setdefault(request.signature, request)
    parts = [
        HEAD.format(
            model=name,
            version=version,
            kind=model_title(model),
            library=__version__,
            tensorflow=tf.__version__,
        ),
        LIMITS.format(**limits._asdict()),
    ]
    for signature, request in shown.items():
        names = sorted(outputs[signature])
        parts.append(
            SIGNATURE.format(
                model=name,
                version=version,
                signature=signature,
                inputs=_inputs(request),
                outputs=_outputs(signature, outputs[signature]),
                rest=_rest(request),
                assignments="\n".join(map(_assignment, request.inputs.items())),
                reading="\n".join(
                    f'{output} = tf.make_ndarray(outputs["{output}"])'
                    for output in names
                ),
            )
        )
    return "".join(parts)


def _inputs(request: Request) -> str:
    shape = "`(batch,)`"
    kind = "strings"
    if request.signature == "serving_default":
        shape, kind = "`(batch, length)`", "int32"
    names = ", ".join(f"`{name}`" for name in request.inputs)
    return f"Inputs: {names}, {kind} of shape {shape}."


def _outputs(signature: str, specs: Mapping[str, Any]) -> str:
    meanings = {**MEANINGS, **OF_SIGNATURE.get(signature, {})}
    lines = ["Outputs:", ""]
    for name in sorted(specs):
        spec = specs[name]
        meaning = f": {meanings[name]}" if name in meanings else ""
        shape = str(tuple(spec.shape)).replace("None", "?")
        lines.append(f"- `{name}`, {spec.dtype.name}, `{shape}`{meaning}")
    return "\n".join(lines)


def _plain(values: Any) -> list[Any]:
    if values.dtype == object:
        return [text.decode() for text in values]
    return values.tolist()


def _rest(request: Request) -> str:
    body = {
        "signature_name": request.signature,
        "inputs": {k: _plain(v) for k, v in request.inputs.items()},
    }
    # An apostrophe would end the string in the shell.
    return json.dumps(body).replace("'", "\\u0027")


def _assignment(item: tuple[str, Any]) -> str:
    name, values = item
    dtype = "" if values.dtype == object else ', dtype="int32"'
    return (
        f'request.inputs["{name}"].CopyFrom(\n'
        f"    tf.make_tensor_proto({_plain(values)!r}{dtype})\n)"
    )
