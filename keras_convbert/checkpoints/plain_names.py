"""Keeps files that another file names inside the folder of that file."""

import os
import pathlib

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath


def plain_name(folder: AnyPath, name: object) -> pathlib.Path:
    """Returns the path of the file `name` in `folder`.

    Args:
        folder: path of a folder.
        name: string. The name, from an untrusted file.

    Raises:
        CheckpointError: if `name` is not the plain name of a file in `folder`,
            or a link leads out of `folder`.
    """
    check_plain_name(folder, name)
    path = pathlib.Path(folder) / str(name)
    check_inside(folder, path)
    return path


def check_plain_name(folder: AnyPath, name: object) -> None:
    """Refuses anything but the plain name of a file."""
    plain = (
        isinstance(name, str)
        and 0 < len(name) < 256
        and name not in (".", "..")
        and not set(name) & {"/", "\\", "\0", ":"}
    )
    if not plain:
        raise CheckpointError(
            f"A file in {os.fspath(folder)!r} names a file elsewhere. Expected "
            "the plain name of a file in the same folder. "
            f"Received: name={name!r}"
        )


def check_inside(folder: AnyPath, path: AnyPath) -> None:
    """Refuses links that lead out of `folder`, and all but regular files.

    A Hugging Face cache consists of links: from a snapshot folder they may
    lead to the blobs of the same repository.
    """
    root = pathlib.Path(os.path.realpath(folder))
    real = pathlib.Path(os.path.realpath(path))
    roots = [root]
    snapshots = root.parent
    if snapshots.name == "snapshots" and "--" in snapshots.parent.name:
        roots.append(snapshots.parent / "blobs")
    if not any(real.is_relative_to(allowed) for allowed in roots):
        raise CheckpointError(
            f"{os.fspath(path)!r} is a link that leads out of its folder. "
            f"Received: target={str(real)!r}"
        )
    if not real.is_file():
        raise CheckpointError(f"Expected {os.fspath(path)!r} to be a file.")
