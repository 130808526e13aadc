"""JSON of a stranger, bounded in size and depth."""

import json
import os
import pathlib
from collections.abc import Iterator

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath
from keras_convbert.types import Config

MAX_BYTES = 2**20
MAX_DEPTH = 64


def read_json(path: AnyPath, max_bytes: int = MAX_BYTES) -> Config:
    """The dict that a file of JSON holds.

    Args:
        path: path of the file.
        max_bytes: int. Size that is refused if exceeded. Defaults to
            `1048576`.

    Raises:
        CheckpointError: if the file is too large, nested too deeply, no JSON,
            or holds something other than a dict.
    """
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
    if not isinstance(content, dict):
        raise CheckpointError(f"Expected {name!r} to hold a dict.")
    _check_depth(content, name)
    return content


def _check_depth(content: object, name: str) -> None:
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in children(parent)]
        if not level:
            return
    raise CheckpointError(
        f"{name!r} is nested too deeply. Expected {MAX_DEPTH} levels at most."
    )


def children(content: object) -> list[object]:
    """What a dict or a list holds."""
    if isinstance(content, dict):
        return [*content.values()]
    return content if isinstance(content, list) else []


def walk(content: object) -> Iterator[object]:
    """All that is in a configuration, itself included."""
    rest = [content]
    while rest:
        part = rest.pop()
        yield part
        rest += children(part)
