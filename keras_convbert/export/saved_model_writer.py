"""Writes SavedModels, on the TensorFlow backend."""

import contextlib
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_convbert.export.parts import in_rows
from keras_convbert.export.request_limits import RequestLimits
from keras_convbert.export.requests import Request
from keras_convbert.export.requests import Texts
from keras_convbert.export.requests import sample_requests
from keras_convbert.export.requests import write_warmup
from keras_convbert.export.servable_readme import readme
from keras_convbert.export.signatures import DEFAULT
from keras_convbert.export.signatures import export_kind
from keras_convbert.export.signatures import text_signatures
from keras_convbert.export.stored_weights import StoredWeights
from keras_convbert.files import AnyPath
from keras_convbert.types import Tensor

# A function, or `tf.function`, from ids to named outputs.
Serve = Any


WARMUP = pathlib.Path("assets.extra") / "tf_serving_warmup_requests"


def write(
    model: Any,
    path: AnyPath,
    *,
    name: str,
    version: int,
    signatures: Sequence[str],
    warmup: Texts,
    labels: Sequence[str] | None = None,
    dtype: str | None = None,
    limits: Mapping[str, int] | None = None,
) -> None:
    """Writes a model with its signatures, warmup requests and a README.

    Args:
        model: a model of one of the kinds in `signatures.KINDS`.
        path: path of an existing folder.
        name: name of the model on the server.
        version: version of the model.
        signatures: names of signatures.
        warmup: strings, or pairs of strings.
        labels: names of the classes. Defaults to `None`.
        dtype: storage dtype of the weights; `None` keeps the dtype of each
            weight. Defaults to `None`.
        limits: the `RequestLimits`, as a dict. Defaults to `None`, which
            takes the defaults.

    Raises:
        ValueError: if the limits refuse a warmup request.
    """
    request_limits = RequestLimits(**(limits or {}))
    # The archive finds the variables in the graphs. With `track`, it would
    # store each variable twice.
    archive = keras.export.ExportArchive()
    serve = ids_function(model, labels, dtype)
    graphs = {}
    for signature in signatures:
        function = _endpoint(model, serve, signature, request_limits)
        graphs[signature] = function.get_concrete_function()
        archive.add_endpoint(signature, function)
    archive.write_out(str(path), verbose=False)

    folder = pathlib.Path(path)
    requests = sample_requests(
        model, signatures, warmup, request_limits.max_rows
    )
    _check_warmup(graphs, requests, request_limits)
    (folder / WARMUP).parent.mkdir(exist_ok=True)
    write_warmup(folder / WARMUP, requests, name)
    outputs = {k: graph.structured_outputs for k, graph in graphs.items()}
    page = readme(model, name, version, requests, outputs, request_limits)
    (folder / "README.md").write_text(page, encoding="utf-8")


def write_ids(model: Any, path: AnyPath) -> None:
    """Writes a SavedModel on ids, without checks, for other converters."""
    archive = keras.export.ExportArchive()
    archive.add_endpoint(DEFAULT, ids_function(model), [ids_specs(model)])
    archive.write_out(str(path), verbose=False)


def _check_warmup(
    graphs: Mapping[str, Any],
    requests: Iterable[Request],
    limits: RequestLimits,
) -> None:
    """Raises `ValueError` for requests on which a server would not start."""
    import tensorflow as tf

    # A text has at most one window per byte.
    size = min(limits.max_text_bytes, limits.max_windows)
    for signature, inputs in requests:
        if signature == DEFAULT or all(
            len(text) <= size for texts in inputs.values() for text in texts
        ):
            continue
        try:
            graphs[signature](**{k: tf.constant(v) for k, v in inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(
                "Expected `warmup` texts that the limits of the servable "
                f"allow. Received: {limits}, and a text that gives: {error}"
            ) from error


def _endpoint(
    model: Any, serve: Serve, signature: str, limits: RequestLimits
) -> Serve:
    """Returns the `tf.function` of a signature."""
    import tensorflow as tf

    if signature == DEFAULT:
        return tf.function(
            _checked(model, serve, limits),
            input_signature=[ids_specs(model)],
            autograph=False,
        )
    text_signature = text_signatures(model)[signature]

    def serve_strings(*texts: Tensor) -> dict[str, Tensor]:
        # A server does not check the shapes of a request.
        texts = tuple(tf.ensure_shape(strings, (None,)) for strings in texts)
        texts = limits.check_texts(text_signature.inputs, texts)
        return text_signature.serve(model, serve, limits, *texts)

    strings = [
        tf.TensorSpec((None,), "string", name=name)
        for name in text_signature.inputs
    ]
    return tf.function(serve_strings, input_signature=strings, autograph=False)


def ids_specs(model: Any) -> dict[str, Any]:
    """Returns the tensor specs of the inputs of a model, by name."""
    import tensorflow as tf

    return {
        name: tf.TensorSpec((None, None), "int32", name=name)
        for name in model.input
    }


def ids_function(
    model: Any, labels: Sequence[str] | None = None, dtype: str | None = None
) -> Serve:
    """Returns the `tf.function` from a dict of ids to named outputs.

    Args:
        model: the model.
        labels: names of the classes. Defaults to `None`.
        dtype: storage dtype of the weights; `None` keeps the dtype of each
            weight. Defaults to `None`.
    """
    import tensorflow as tf

    name_outputs = export_kind(model).name_outputs
    scope: Callable[[], Any] = contextlib.nullcontext
    if dtype is not None:
        scope = StoredWeights(model, dtype).scope

    def serve_ids(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        with scope():
            outputs = name_outputs(model, model(inputs, training=False))
        if labels is not None:
            outputs["label"] = _named(outputs["label"], labels)
        return outputs

    return tf.function(serve_ids, autograph=False)


def _named(label: Tensor, labels: Sequence[str]) -> Tensor:
    """Returns the names of class ids; for a multi-hot label, `""` at zeros."""
    import tensorflow as tf

    names = tf.constant(list(labels))
    if label.shape.rank == 1:
        return tf.gather(names, label)
    return tf.where(label == 1, names, "")


def _checked(model: Any, serve: Serve, request_limits: RequestLimits) -> Serve:
    """Returns `serve` with input checks that name the invalid input."""
    import tensorflow as tf

    backbone = getattr(model, "backbone", model)
    limits = {
        "token_ids": backbone.vocabulary_size,
        "segment_ids": getattr(backbone, "num_segments", 1),
        "padding_mask": 2,
    }
    limits = {name: limits[name] for name in limits if name in model.input}

    def checks(inputs: dict[str, Tensor]) -> Iterator[Any]:
        shape = tf.shape(inputs["token_ids"])
        length = shape[1]
        yield tf.debugging.Assert(
            (length >= 1) & (length <= backbone.max_sequence_length),
            [
                "Expected `token_ids` of shape (batch, length), with a length "
                f"from 1 to {backbone.max_sequence_length}. Received: length=",
                length,
            ],
        )
        for name, limit in limits.items():
            yield tf.debugging.assert_equal(
                tf.shape(inputs[name]),
                shape,
                f"Expected `{name}` to have the shape of `token_ids`.",
            )
            yield _assert_range(name, inputs[name], limit)
        if "mask_positions" in inputs:
            positions = inputs["mask_positions"]
            yield tf.debugging.assert_equal(
                tf.shape(positions)[0],
                shape[0],
                "Expected `mask_positions` to have the batch size of "
                "`token_ids`.",
            )
            yield _assert_range("mask_positions", positions, length)

    def serve_checked(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        inputs = {
            name: tf.ensure_shape(ids, (None, None))
            for name, ids in inputs.items()
        }
        specs = serve.get_concrete_function(ids_specs(model)).structured_outputs
        limit_checks = request_limits.id_checks(inputs, specs)
        # The checks run first: an error of the model would not name the input.
        with tf.control_dependencies([*limit_checks, *checks(inputs)]):
            inputs = {k: tf.identity(v) for k, v in inputs.items()}
        return in_rows(serve, inputs)

    return serve_checked


def _assert_range(name: str, values: Tensor, limit: Any) -> Any:
    import tensorflow as tf

    return tf.debugging.Assert(
        tf.reduce_all((values >= 0) & (values < limit)),
        [
            f"Expected `{name}` to be at least 0 and less than",
            limit,
            "Received: values from",
            tf.reduce_min(values),
            "to",
            tf.reduce_max(values),
        ],
    )
