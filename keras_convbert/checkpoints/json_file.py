"""Reads untrusted JSON, bounded in size and depth."""

import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath
from keras_convbert.types import Config

MAX_BYTES = 2**20
MAX_DEPTH = 64


def read_json(path: AnyPath, max_bytes: int = MAX_BYTES) -> Config:
    """Reads a JSON file that contains a dict.

    Args:
        path: path of the file.
        max_bytes: int. Maximum size of the file. Defaults to `1048576`.

    Raises:
        CheckpointError: if the file is too large, nested too deeply, not JSON,
            or does not contain a dict.
    """
    return _read(path, max_bytes, dict)


def read_json_list(path: AnyPath, max_bytes: int = MAX_BYTES) -> list[Any]:
    """Reads a JSON file that contains a list; as `read_json` otherwise."""
    return _read(path, max_bytes, list)


def _read(path: AnyPath, max_bytes: int, kind: type[Any]) -> Any:
    name = os.fspath(path)
    size = os.path.getsize(path)
    if size > max_bytes:
        raise CheckpointError(
            f"Expected {name!r} to have {max_bytes} bytes at most. "
            f"Received: {size} bytes"
        )
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{name!r} is not JSON: {error}") from error
    if not isinstance(content, kind):
        raise CheckpointError(
            f"Expected {name!r} to hold a {kind.__name__}. "
            f"Received: {type(content).__name__}"
        )
    _check_depth(content, name)
    return content


def _check_depth(content: object, name: str) -> None:
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in children(parent)]
        if not level:
            return
    raise CheckpointError(
        f"{name!r} is nested too deeply. Expected at most {MAX_DEPTH} levels."
    )


def children(content: object) -> list[object]:
    """Returns the values of a dict or a list, `[]` for anything else."""
    if isinstance(content, dict):
        return [*content.values()]
    return content if isinstance(content, list) else []


def walk(content: object) -> Iterator[object]:
    """Yields a configuration and everything inside it."""
    rest = [content]
    while rest:
        part = rest.pop()
        yield part
        rest += children(part)
