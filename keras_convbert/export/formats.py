"""Exports to other runtimes: from ids to numbers."""

import os
import pathlib
from typing import Any

import keras

from keras_convbert.compat import flatten_layers
from keras_convbert.export.served_model import served_model
from keras_convbert.export.signatures import export_kind
from keras_convbert.export.signatures import model_title
from keras_convbert.export.writing import FORMS
from keras_convbert.export.writing import check_installed
from keras_convbert.export.writing import process_note
from keras_convbert.export.writing import write
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_file
from keras_convbert.files import merge_into_folder
from keras_convbert.full_disk import full_disk_errors


def export_onnx(
    model: keras.Model, path: AnyPath, verbose: bool = True
) -> pathlib.Path:
    """Writes a model as ONNX, with operator set 18.

    The file takes the inputs of the model as int32, with any batch size and
    any length up to the `max_sequence_length` of the backbone. Its outputs are
    those of `serving_default` in `export_saved_model`; `label` is a number.

    Args:
        model: a `ConvBertBackbone`, a task that has one, or a functional model
            on `backbone.input`, on any backend.
        path: string or path-like that ends in `.onnx`. An existing file is
            replaced.
        verbose: bool. Whether to print a line before the export. Defaults to
            `True`.

    Returns:
        The path.

    Raises:
        ValueError: if the model is of an unsupported class or not in float32,
            or if `path` has another suffix.
        ImportError: if TensorFlow or `tf2onnx` is not installed.
        RuntimeError: if the conversion fails.

    Example:

    ```python
    from keras_convbert.export import export_onnx
    from keras_convbert.models import ConvBertBackbone

    backbone = ConvBertBackbone(
        vocabulary_size=50,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
    )
    export_onnx(backbone, "backbone.onnx")
    # onnxruntime.InferenceSession("backbone.onnx").run(None, inputs)
    ```
    """
    return _write_file("onnx", ".onnx", model, path, verbose)


def export_litert(
    model: keras.Model, path: AnyPath, verbose: bool = True
) -> pathlib.Path:
    """Writes a model for LiteRT (formerly TensorFlow Lite).

    The inputs and outputs are those of `export_onnx`. Run the file with
    `ai_edge_litert.interpreter.Interpreter(path).get_signature_runner()(
    **inputs)`, with any batch size and length. Without the signature runner,
    resize the inputs of the interpreter first.

    Args:
        model: a `ConvBertBackbone`, a task that has one, or a functional model
            on `backbone.input`, on any backend.
        path: string or path-like that ends in `.tflite`. An existing file is
            replaced.
        verbose: bool. Whether to print a line before the export. Defaults to
            `True`.

    Returns:
        The path.

    Raises:
        ValueError: if the model is of an unsupported class or not in float32,
            or if `path` has another suffix.
        ImportError: if TensorFlow is not installed.
        RuntimeError: if the conversion fails.
    """
    return _write_file("litert", ".tflite", model, path, verbose)


def export_openvino(
    model: keras.Model, path: AnyPath, verbose: bool = True
) -> pathlib.Path:
    """Writes a model for OpenVINO, as an `.xml` file and a `.bin` file.

    The inputs and outputs are those of `export_onnx`. Run the model with
    `openvino.compile_model(path, "CPU")(inputs)`. Weights are float32. The
    OpenVINO plugin selects the compute dtype; set `INFERENCE_PRECISION_HINT`
    to change it.

    Args:
        model: a `ConvBertBackbone`, a task that has one, or a functional model
            on `backbone.input`, on any backend.
        path: string or path-like that ends in `.xml`. Existing files are
            replaced.
        verbose: bool. Whether to print a line before the export. Defaults to
            `True`.

    Returns:
        The path.

    Raises:
        ValueError: if the model is of an unsupported class or not in float32,
            or if `path` has another suffix.
        ImportError: if TensorFlow or `openvino` is not installed.
        RuntimeError: if the conversion fails.
    """
    model = _served(model)
    target = _checked("openvino", ".xml", model, path)
    with (
        merge_into_folder(target.parent, key=target.name) as folder,
        full_disk_errors(target),
    ):
        _announce("openvino", model, target, verbose)
        write("openvino", model, folder / target.name)
    return target


def export_torch(
    model: keras.Model, path: AnyPath, verbose: bool = True
) -> pathlib.Path:
    """Writes a model as a `torch.export` program.

    The inputs and outputs are those of `export_onnx`, as dicts. Run the program
    with `torch.export.load(path).module()(inputs)`; it needs PyTorch, but
    neither Keras nor this library. `ConvBertMaskedLM`, and
    `ConvBertQuestionAnswerer` with the head `"joint"`, are not supported.

    Args:
        model: a `ConvBertBackbone`, a task that has one, or a functional model
            on `backbone.input`, on any backend.
        path: string or path-like that ends in `.pt2`. An existing file is
            replaced.
        verbose: bool. Whether to print a line before the export. Defaults to
            `True`.

    Returns:
        The path.

    Raises:
        ValueError: if the model is of an unsupported class or quantized, or
            if `path` has another suffix.
        ImportError: if PyTorch is not installed.
        RuntimeError: if the export fails.
    """
    joint = getattr(model, "head", None) == "joint"
    kind = getattr(model, "task_kind", None)
    if kind == "masked_lm" or (kind == "question_answerer" and joint):
        raise ValueError(
            "Expected a model other than a masked LM and a question answerer "
            'with `head="joint"`: `torch.export` fixes the length of tensors '
            "that Keras gathers by position. Use `export_onnx` or "
            "`export_saved_model`. "
            f"Received: model={model} (of type {type(model).__name__})"
        )
    return _write_file("torch", ".pt2", model, path, verbose)


def _write_file(
    form: str, suffix: str, model: Any, path: AnyPath, verbose: bool
) -> pathlib.Path:
    model = _served(model)
    target = _checked(form, suffix, model, path)
    with atomic_file(target) as temporary:
        _announce(form, model, target, verbose)
        write(form, model, temporary)
    return target


def _served(model: Any) -> Any:
    model = served_model(model)
    export_kind(model)
    return model


def _checked(form: str, suffix: str, model: Any, path: AnyPath) -> pathlib.Path:
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path).endswith(
        suffix
    ):
        raise ValueError(
            f"Expected `path` to be a path that ends in {suffix!r}. "
            f"Received: path={path!r}"
        )
    _check_dtypes(form, model)
    check_installed(form)
    return pathlib.Path(path)


def _check_dtypes(form: str, model: Any) -> None:
    layers = [layer for layer in flatten_layers(model) if layer.weights]
    found = {layer.compute_dtype for layer in layers}
    found |= {weight.dtype for weight in model.weights}
    allowed = {"float32"}
    if form == "torch":
        allowed |= {"bfloat16", "float16"}
    if not found <= allowed:
        raise ValueError(
            f"Expected a model in {' or '.join(sorted(allowed))} for export "
            f"to {FORMS[form].title}. Load the model with "
            '`from_preset(…, dtype="float32")`. Received: a model with '
            f"{', '.join(sorted(found - allowed))}"
        )


def _announce(
    form: str, model: Any, target: pathlib.Path, verbose: bool
) -> None:
    if verbose:
        print(
            f"Exporting {model_title(model)} to {target}, as "
            f"{FORMS[form].title}{process_note(form)}",
            flush=True,
        )
