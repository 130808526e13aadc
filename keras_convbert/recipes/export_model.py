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
    """Exports the model of a checkpoint to the format of a server or runtime.

    Args:
        source: path or handle, as in `convert_checkpoint`.
        target: path. Folder of a SavedModel, with one folder per version, or
            the file of another format.
        to: string. `"saved_model"`, `"onnx"`, `"litert"`, `"openvino"` or
            `"torch"`. Defaults to `"saved_model"`.
        warmup_file: path of a text file. Each line is a warmup text for a
            SavedModel, or a pair of texts with a tab between them. Defaults
            to `None`.
        **options: arguments of the export function of the format, for
            example `export.export_saved_model`.

    Returns:
        The path of the exported file or version.

    Raises:
        ValueError: if `to` is unknown, if the source is not a checkpoint, or
            if an option is invalid or not supported by the format.
    """
    if to not in WRITERS:
        raise ValueError(
            f"Expected `to` to be one of {(*WRITERS,)}. Received: to={to!r}"
        )
    if warmup_file is not None:
        options["warmup"] = _texts(warmup_file)
    if to != "saved_model" and options:
        raise ValueError(
            'Expected SavedModel options only with `to="saved_model"`. '
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
