"""Writes SavedModels, where TensorFlow is the backend."""

import contextlib
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras

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
) -> None:
    """Writes a model with its signatures, requests to warm up, and a page.

    Args:
        model: of one of the kinds that `signatures` lists.
        path: path of a folder to fill.
        name: what the server will call it.
        version: its version.
        signatures: names of signatures.
        warmup: strings, or pairs of them.
        labels: names of the classes. Defaults to `None`.
        dtype: what weights are stored as; `None` is as they are. Defaults to
            `None`.
    """
    # The archive finds the variables in the graphs. Told of the model with
    # `track`, it would store each of them twice.
    archive = keras.export.ExportArchive()
    serve = ids_function(model, labels, dtype)
    outputs = {}
    for signature in signatures:
        function = _endpoint(model, serve, signature)
        graph = function.get_concrete_function()
        outputs[signature] = graph.structured_outputs
        archive.add_endpoint(signature, function)
    archive.write_out(str(path), verbose=False)

    folder = pathlib.Path(path)
    requests = sample_requests(model, signatures, warmup)
    (folder / WARMUP).parent.mkdir(exist_ok=True)
    write_warmup(folder / WARMUP, requests, name)
    page = readme(model, name, version, requests, outputs)
    (folder / "README.md").write_text(page, encoding="utf-8")


def write_ids(model: Any, path: AnyPath) -> None:
    """Writes what other formats are made of: ids alone, and no checks."""
    archive = keras.export.ExportArchive()
    archive.add_endpoint(DEFAULT, ids_function(model), [ids_specs(model)])
    archive.write_out(str(path), verbose=False)


def _endpoint(model: Any, serve: Serve, signature: str) -> Serve:
    """The `tf.function` of a signature."""
    import tensorflow as tf

    if signature == DEFAULT:
        return tf.function(
            _checked(model, serve),
            input_signature=[ids_specs(model)],
            autograph=False,
        )
    of_texts = text_signatures(model)[signature]

    def serve_strings(*texts: Tensor) -> dict[str, Tensor]:
        # A server does not hold a request to the shape that is promised.
        texts = tuple(tf.ensure_shape(strings, (None,)) for strings in texts)
        return of_texts.serve(model, serve, *texts)

    strings = [
        tf.TensorSpec((None,), "string", name=name) for name in of_texts.inputs
    ]
    return tf.function(serve_strings, input_signature=strings, autograph=False)


def ids_specs(model: Any) -> dict[str, Any]:
    """What a model takes, as TensorFlow describes it."""
    import tensorflow as tf

    return {
        name: tf.TensorSpec((None, None), "int32", name=name)
        for name in model.input
    }


def ids_function(
    model: Any, labels: Sequence[str] | None = None, dtype: str | None = None
) -> Serve:
    """The `tf.function` of a model, from a dict of ids to named outputs.

    Args:
        model: the model.
        labels: names of the classes. Defaults to `None`.
        dtype: what weights are stored as; `None` is as they are. Defaults to
            `None`.
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
    """The names of classes; of several answers, of those that are yes."""
    import tensorflow as tf

    names = tf.constant(list(labels))
    if label.shape.rank == 1:
        return tf.gather(names, label)
    return tf.where(label == 1, names, "")


def _checked(model: Any, serve: Serve) -> Serve:
    """`serve`, after ids that it cannot take are refused by their name."""
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
                "Expected `token_ids` of the shape (batch, length), of a length"
                f" from 1 to {backbone.max_sequence_length}. Received:",
                length,
            ],
        )
        for name, limit in limits.items():
            yield tf.debugging.assert_equal(
                tf.shape(inputs[name]),
                shape,
                f"Expected `{name}` of the shape of `token_ids`.",
            )
            yield _assert_range(name, inputs[name], limit)
        if "mask_positions" in inputs:
            positions = inputs["mask_positions"]
            yield tf.debugging.assert_equal(
                tf.shape(positions)[0],
                shape[0],
                "Expected `mask_positions` of as many rows as `token_ids`.",
            )
            yield _assert_range("mask_positions", positions, length)

    def serve_checked(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        inputs = {
            name: tf.ensure_shape(ids, (None, None))
            for name, ids in inputs.items()
        }
        # Else what fails of a wrong id may be faster, and names it less well.
        with tf.control_dependencies([*checks(inputs)]):
            return serve({k: tf.identity(v) for k, v in inputs.items()})

    return serve_checked


def _assert_range(name: str, values: Tensor, limit: Any) -> Any:
    import tensorflow as tf

    return tf.debugging.Assert(
        tf.reduce_all((values >= 0) & (values < limit)),
        [
            f"Expected `{name}` of at least 0, and less than",
            limit,
            "Received:",
            tf.reduce_min(values),
            "to",
            tf.reduce_max(values),
        ],
    )
