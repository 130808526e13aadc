"""Models in forms that other runtimes take: ids in, numbers out."""

import os
import pathlib
from typing import Any

import keras

from keras_convbert.compat import flatten_layers
from keras_convbert.export.signatures import export_kind
from keras_convbert.export.writing import FORMS
from keras_convbert.export.writing import check_installed
from keras_convbert.export.writing import place
from keras_convbert.export.writing import write
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_file
from keras_convbert.files import merge_into_folder


def export_onnx(
    model: keras.Model, path: AnyPath, verbose: bool = True
) -> pathlib.Path:
    """Writes a model as ONNX, of operator set 18.

    It takes the inputs of the model, int32 of any batch and length up to the
    backbone's `max_sequence_length`, and gives in float32 what
    `export_saved_model` says of `serving_default`; a `label` is a number.

    Args:
        model: a `ConvBertBackbone`, or a task of it, on any backend.
        path: string or path-like, which ends in `.onnx`. A file that is there
            is replaced.
        verbose: bool. Whether to print what is being written. Defaults to
            `True`.

    Returns:
        The path.

    Raises:
        ValueError: if the model is of another class or not in float32; if
            `path` has another suffix.
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
    """Writes a model for LiteRT, TensorFlow Lite of old.

    It takes and gives what `export_onnx` says, by the call
    `ai_edge_litert.interpreter.Interpreter(path).get_signature_runner()(
    **inputs)`, of any batch and length; who goes without the runner resizes
    the interpreter's inputs before.

    Args:
        model: a `ConvBertBackbone`, or a task of it, on any backend.
        path: string or path-like, which ends in `.tflite`. A file that is
            there is replaced.
        verbose: bool. Whether to print what is being written. Defaults to
            `True`.

    Returns:
        The path.

    Raises:
        ValueError: if the model is of another class or not in float32; if
            `path` has another suffix.
        ImportError: if TensorFlow is not installed.
        RuntimeError: if the conversion fails.
    """
    return _write_file("litert", ".tflite", model, path, verbose)


def export_openvino(
    model: keras.Model, path: AnyPath, verbose: bool = True
) -> pathlib.Path:
    """Writes a model for OpenVINO, as an `.xml` and a `.bin` beside it.

    It takes and gives what `export_onnx` says, by the call
    `openvino.compile_model(path, "CPU")(inputs)`. Weights are float32;
    OpenVINO computes in what its plugin prefers, which its
    `INFERENCE_PRECISION_HINT` changes.

    Args:
        model: a `ConvBertBackbone`, or a task of it, on any backend.
        path: string or path-like, which ends in `.xml`. Files that are there
            are replaced.
        verbose: bool. Whether to print what is being written. Defaults to
            `True`.

    Returns:
        The path.

    Raises:
        ValueError: if the model is of another class or not in float32; if
            `path` has another suffix.
        ImportError: if TensorFlow or `openvino` is not installed.
        RuntimeError: if the conversion fails.
    """
    target = _checked("openvino", ".xml", model, path)
    with merge_into_folder(target.parent, key=target.name) as folder:
        _announce("openvino", model, target, verbose)
        write("openvino", model, folder / target.name)
    return target


def export_torch(
    model: keras.Model, path: AnyPath, verbose: bool = True
) -> pathlib.Path:
    """Writes a model as a program of `torch.export`.

    It takes and gives what `export_onnx` says, dicts by the call
    `torch.export.load(path).module()(inputs)`, where PyTorch is, without Keras
    and without this library. A
    `ConvBertMaskedLM`, and a `ConvBertQuestionAnswerer` with the head
    `"joint"`, cannot be written so.

    Args:
        model: a `ConvBertBackbone`, or a task of it, on any backend.
        path: string or path-like, which ends in `.pt2`. A file that is there
            is replaced.
        verbose: bool. Whether to print what is being written. Defaults to
            `True`.

    Returns:
        The path.

    Raises:
        ValueError: if the model is of another class, quantized, or one of
            those two; if `path` has another suffix.
        ImportError: if PyTorch is not installed.
        RuntimeError: if the export fails.
    """
    joint = getattr(model, "head", None) == "joint"
    kind = getattr(model, "task_kind", None)
    if kind == "masked_lm" or (kind == "question_answerer" and joint):
        raise ValueError(
            "`torch.export` fixes the length of tensors that Keras gathers by "
            "position. Expected a model other than a masked LM and a question "
            'answerer with `head="joint"`, which `export_onnx` and '
            "`export_saved_model` take. "
            f"Received: model={model} (of type {type(model).__name__})"
        )
    return _write_file("torch", ".pt2", model, path, verbose)


def _write_file(
    form: str, suffix: str, model: Any, path: AnyPath, verbose: bool
) -> pathlib.Path:
    target = _checked(form, suffix, model, path)
    with atomic_file(target) as temporary:
        _announce(form, model, target, verbose)
        write(form, model, temporary)
    return target


def _checked(form: str, suffix: str, model: Any, path: AnyPath) -> pathlib.Path:
    export_kind(model)
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path).endswith(
        suffix
    ):
        raise ValueError(
            f"Expected the path of a file that ends in {suffix!r}. "
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
            f"{FORMS[form].title} is written of models in float32, which "
            '`from_preset(…, dtype="float32")` gives. Received: a model with '
            f"{', '.join(sorted(found - allowed))}"
        )


def _announce(
    form: str, model: Any, target: pathlib.Path, verbose: bool
) -> None:
    if verbose:
        print(
            f"Exporting {type(model).__name__} to {target}, as "
            f"{FORMS[form].title}{place(form)}",
            flush=True,
        )
