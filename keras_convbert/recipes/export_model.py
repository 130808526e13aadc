import os
import pathlib
from collections.abc import Callable
from typing import Any

from keras_convbert import export
from keras_convbert.files import AnyPath
from keras_convbert.recipes.sources import open_source

WRITERS: dict[str, Callable[..., pathlib.Path]] = {
    "saved_model": export.export_saved_model,
    "onnx": export.export_onnx,
    "litert": export.export_litert,
    "openvino": export.export_openvino,
    "torch": export.export_torch,
}


def export_model(
    source: AnyPath,
    target: AnyPath,
    to: str = "saved_model",
    warmup_file: AnyPath | None = None,
    **options: Any,
) -> pathlib.Path:
    """Writes the model of a checkpoint in a form that servers take.

    Args:
        source: path or handle. As of `convert_checkpoint`.
        target: path. Folder of the versions of a SavedModel, or the file of
            another form.
        to: string. `"saved_model"`, `"onnx"`, `"litert"`, `"openvino"` or
            `"torch"`. Defaults to `"saved_model"`.
        warmup_file: path of a text file. A line is a text to warm a
            SavedModel up with, or a pair of them with a tab between. Defaults
            to `None`.
        **options: arguments of the function for that form, as
            `export.export_saved_model`.

    Returns:
        The path of what is written.

    Raises:
        ValueError: if `to` is unknown, the source is none of these, or an
            option is wrong or does not go with the form.
    """
    if to not in WRITERS:
        raise ValueError(
            f"Expected `to` to be one of {(*WRITERS,)}. Received: to={to!r}"
        )
    if warmup_file is not None:
        options["warmup"] = _texts(warmup_file)
    if to != "saved_model" and options:
        raise ValueError(
            "Expected no options of a SavedModel for another form. "
            f"Received: to={to!r}, "
            + ", ".join(
                f"{name}={value!r:.80}" for name, value in options.items()
            )
        )
    model, _ = open_source(os.fspath(source))
    return WRITERS[to](model, target, **options)


def _texts(path: AnyPath) -> list[str | tuple[str, ...]]:
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return [
        tuple(line.split("\t")) if "\t" in line else line
        for line in lines
        if line.strip()
    ]
