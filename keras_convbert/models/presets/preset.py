import copy
import functools
import inspect
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from keras_convbert.checkpoints.json_file import MAX_BYTES
from keras_convbert.checkpoints.json_file import read_json
from keras_convbert.checkpoints.plain_names import check_inside
from keras_convbert.checkpoints.plain_names import check_plain_name
from keras_convbert.checkpoints.safe_config import check_config
from keras_convbert.checkpoints.shard_index import MAX_INDEX_BYTES
from keras_convbert.checkpoints.shard_index import check_weight_map
from keras_convbert.checkpoints.shard_index import shard_names
from keras_convbert.compat import check_file_exists
from keras_convbert.compat import get_file
from keras_convbert.files import AnyPath
from keras_convbert.models.presets.family import Family
from keras_convbert.models.presets.family import classes_of
from keras_convbert.models.presets.family import family_of
from keras_convbert.models.presets.files import ASSET_FILES
from keras_convbert.models.presets.files import CONFIG_FILE
from keras_convbert.models.presets.files import CONFIG_FILES
from keras_convbert.models.presets.files import TASK_WEIGHTS_FILE
from keras_convbert.models.presets.files import TOKENIZER_FILE
from keras_convbert.models.presets.files import WEIGHTS_FILE
from keras_convbert.models.presets.files import WEIGHTS_INDEX_FILE
from keras_convbert.models.presets.foreign_format import ForeignFormat
from keras_convbert.models.presets.size_limits import check_sizes
from keras_convbert.types import Config


class Preset(os.PathLike[str]):
    """An open preset, which finds and reads each of its files once.

    Args:
        handle: string. A folder, or a handle on a hub, whose files are
            fetched on first use.
        family: `Family`. The family of the class that opens the preset.
        custom_objects: dict from names to classes and functions outside of
            this library that the preset may name. Defaults to `None`.
        root: `Preset`. The preset that contains this one as a folder, or
            `None`. Defaults to `None`.
        folder: string. The plain name of that folder. Defaults to `""`.

    Raises:
        ValueError: if there is no such preset.
    """

    def __init__(
        self,
        handle: str,
        family: Family,
        custom_objects: Mapping[str, Any] | None = None,
        root: "Preset | None" = None,
        folder: str = "",
    ) -> None:
        if "://" not in handle and not os.path.isdir(handle):
            raise ValueError(
                "Expected a folder, a handle such as 'hf://user/model' or "
                "'kaggle://user/model/keras/variant', or one of "
                f"{[*family.architectures]}. Received: preset={handle!r}"
            )
        self.handle = handle
        self.family = family
        self.custom_objects = dict(custom_objects or {})
        self.root = self if root is None else root
        self._prefix = f"{folder}/" if folder else ""
        self._paths: dict[str, pathlib.Path | None] = {}
        self._contents: dict[str, Config] = {}
        self._is_checked = self._is_checked_for_weights = False

    @classmethod
    def open(
        cls,
        preset: "AnyPath | Preset",
        requested: type[Any],
        custom_objects: Mapping[str, Any] | None = None,
    ) -> "Preset":
        """Opens a preset, unless it is already open.

        If the format of another library keeps the model in a folder inside of
        the preset, it opens that folder.

        Args:
            preset: path, handle, or an open `Preset`.
            requested: the class that will be loaded. It and the classes that
                it uses may be outside of this library.
            custom_objects: dict of further classes and functions that the
                preset may name. Defaults to `None`.
        """
        if isinstance(preset, Preset):
            return preset
        allowed = {
            keras.saving.get_registered_name(used): used
            for used in classes_of(requested)
        }
        opened = cls(
            os.fspath(preset),
            family_of(requested),
            {**allowed, **(custom_objects or {})},
        )
        foreign = opened.family.foreign
        folder = "" if foreign is None else foreign.model_folder(opened)
        return opened.subfolder(folder) if folder else opened

    def subfolder(self, name: str) -> "Preset":
        """Returns a folder inside of this preset as a preset.

        Raises:
            CheckpointError: if `name` is not a plain name.
        """
        check_plain_name(self.handle, name)
        return Preset(self.handle, self.family, self.custom_objects, self, name)

    def __fspath__(self) -> str:
        return self.handle

    def __str__(self) -> str:
        return self.handle

    def __repr__(self) -> str:
        return repr(self.handle)

    def find(self, name: str) -> pathlib.Path | None:
        """Returns the path of a file, or `None` if the preset lacks it.

        Raises:
            CheckpointError: if the file is a link to a path outside of the
                preset.
        """
        if name not in self._paths:
            self._paths[name] = self._find(name)
        return self._paths[name]

    def _find(self, name: str) -> pathlib.Path | None:
        name = self._prefix + name
        if not check_file_exists(self.handle, name):
            path = os.path.join(self.handle, name)
            if os.path.islink(path):
                check_inside(self.handle, path)
            return None
        found = pathlib.Path(get_file(self.handle, name))
        check_inside(found.parents[name.count("/")], found)
        return found

    def read(self, name: str, max_bytes: int = MAX_BYTES) -> Config:
        """Returns a copy of the content of a JSON file.

        It is an empty dict if the preset lacks the file.

        Raises:
            CheckpointError: if the file is damaged or exceeds `max_bytes`.
        """
        if name not in self._contents:
            path = self.find(name)
            self._contents[name] = (
                {} if path is None else read_json(path, max_bytes)
            )
        return copy.deepcopy(self._contents[name])

    def describes(self, name: str, cls: type[Any]) -> bool:
        """Whether a JSON file describes an object of exactly `cls`.

        A subclass in `custom_objects` counts as well.
        """
        registered = self.read(name).get("registered_name")
        own = self.custom_objects.get(str(registered))
        return bool(
            registered == keras.saving.get_registered_name(cls)
            or (inspect.isclass(own) and issubclass(own, cls))
        )

    @functools.cached_property
    def foreign(self) -> ForeignFormat | None:
        """The format of another library for the model, or `None`."""
        foreign = self.family.foreign
        return foreign if foreign and foreign.recognizes(self) else None

    @functools.cached_property
    def foreign_tokenizer(self) -> ForeignFormat | None:
        """The format of another library for the tokenizer, or `None`."""
        if self.foreign is not None:
            return self.foreign
        foreign = self.family.foreign
        if foreign is not None and foreign.recognizes_tokenizer(self):
            return foreign
        return None

    @functools.cached_property
    def has_tokenizer(self) -> bool:
        """Whether the preset holds a tokenizer, in any format."""
        foreign = self.family.foreign
        return self.find(TOKENIZER_FILE) is not None or (
            foreign is not None and foreign.has_tokenizer(self)
        )

    @functools.cached_property
    def weights(self) -> pathlib.Path | None:
        """The weights file of the backbone, or the index of its shards."""
        return self.find(WEIGHTS_FILE) or self.find(WEIGHTS_INDEX_FILE)

    def check(
        self, load_weights: bool = True, needed: str = CONFIG_FILE
    ) -> None:
        """Raises an error if the preset is unsafe, incomplete or damaged.

        Args:
            load_weights: bool. Whether weights will be loaded. Defaults to
                `True`.
            needed: string. The file that must exist. Defaults to
                `"config.json"`.

        Raises:
            FileNotFoundError: if `needed` does not exist.
            CheckpointError: if a config is damaged, names a class that is not
                allowed, or describes a model larger than the weights; or if a
                link or a file name leads out of the folder. Weights are
                checked when they are loaded.
        """
        if self.find(needed) is None:
            remote = "://" in self.handle
            where = (
                ", on a hub without this file or out of reach" if remote else ""
            )
            raise FileNotFoundError(
                f"Expected a file {needed!r}. "
                f"Received: preset={self.handle!r}{where}"
            )
        if self._is_checked_for_weights or (
            self._is_checked and not load_weights
        ):
            return
        for name in ASSET_FILES:
            self.find(name)
        size = None
        if load_weights:
            size = sum(file.stat().st_size for file in self._weight_files())
        for name in CONFIG_FILES:
            path = self.find(name)
            if path is not None:
                config = self.read(name)
                check_config(config, os.fspath(path), self.custom_objects)
                check_sizes(
                    config,
                    os.fspath(path),
                    [self.family.size_rules],
                    size or None,
                )
        self._is_checked = True
        self._is_checked_for_weights = load_weights

    def _weight_files(self) -> list[pathlib.Path]:
        names: list[Any] = [WEIGHTS_FILE, TASK_WEIGHTS_FILE]
        if self.find(WEIGHTS_FILE) is None:
            names += self._shard_names()
        return [path for name in names if (path := self.find(name))]

    def _shard_names(self) -> list[Any]:
        index = self.find(WEIGHTS_INDEX_FILE)
        if index is None:
            return []
        weight_map = check_weight_map(
            self.read(WEIGHTS_INDEX_FILE, MAX_INDEX_BYTES), index
        )
        names = shard_names(weight_map)
        for name in names:
            check_plain_name(index.parent, name)
        return names
