"""Unpacks the archive of a `.keras` file."""

import os
import pathlib
import shutil
import stat
import zipfile

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.files import AnyPath

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
ASSETS = "assets"
MAX_MEMBERS = 1000


def unpack(path: AnyPath, folder: AnyPath) -> None:
    """Writes the members of a `.keras` file to a folder.

    Args:
        path: path of the file.
        folder: path of an empty folder.

    Raises:
        CheckpointError: if the archive is damaged; if it contains members
            that Keras does not write, duplicates, links, or names outside the
            folder; if its members are larger than the archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check(members, os.path.getsize(path))
            for member in members:
                target = pathlib.Path(folder, *member.filename.split("/"))
                target.parent.mkdir(parents=True, exist_ok=True)
                # Reading to the end verifies the checksum.
                with archive.open(member) as source, open(target, "wb") as to:
                    shutil.copyfileobj(source, to)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"Cannot load {os.fspath(path)!r}: {error}"
        ) from error


def _check(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [member.filename for member in members]
    if len(names) > MAX_MEMBERS:
        raise CheckpointError("it has too many members.")
    for name in names:
        _check_name(name)
    if len(set(names)) < len(names):
        raise CheckpointError("it has two members of the same name.")
    for name in (CONFIG, WEIGHTS):
        if name not in names:
            raise CheckpointError(f"it has no member {name!r}.")
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise CheckpointError(f"{member.filename!r} is a link.")
    # Keras stores members without compression.
    if sum(member.file_size for member in members) > size:
        raise CheckpointError("its members are larger than itself.")


def _check_name(name: str) -> None:
    parts = name.split("/")
    known = name in ("metadata.json", CONFIG, WEIGHTS) or (
        parts[0] == ASSETS and len(parts) > 1
    )
    plain = not {"", ".", ".."} & {*parts} and not {"\\", ":"} & {*name}
    if not known or not plain:
        raise CheckpointError(
            f"it has a member {name!r}, which Keras does not write."
        )
