import contextlib
import dataclasses
import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from keras_convbert.data.documents import Corpus
from keras_convbert.files import AnyPath
from keras_convbert.files import hash_file
from keras_convbert.files import remove_leftovers
from keras_convbert.files import write_text
from keras_convbert.locks import WriteLock
from keras_convbert.recipes.pretraining_config import PretrainingConfig
from keras_convbert.types import Config
from keras_convbert.version import __version__

RECORD_FILE = "pretraining.json"
RESULTS_FILE = "results.json"
LOCK_FILE = ".lock"
# Settings that may change when training resumes.
FREE = ("save_every", "tensorboard", "workers", "errors")


class PretrainingFolder:
    """The output folder of a pretraining run: its paths and its record.

    If the folder belongs to another configuration or corpus but has no saved
    step yet, `begin` deletes its vocabulary and sequences.

    Args:
        directory: path of the folder, which may exist from an earlier run.
        config: a `PretrainingConfig`.
        corpus: a `Corpus`, which is read once.

    Raises:
        ValueError: if the folder belongs to another configuration or corpus
            and has a saved step.
        FileExistsError: if the path exists and is not a pretraining folder.
    """

    def __init__(
        self, directory: AnyPath, config: PretrainingConfig, corpus: Corpus
    ) -> None:
        self.path = pathlib.Path(directory)
        self.vocabulary = self.path / "vocabulary.txt"
        self.sequences = self.path / "sequences"
        self.backup = self.path / "backup"
        self.log = self.path / "log.csv"
        self.tensorboard = self.path / "tensorboard"
        self.pretrainer = self.path / "pretrainer"
        self.backbone = self.path / "backbone"
        self._results = self.path / RESULTS_FILE
        self._file = self.path / RECORD_FILE
        self._record = _record(config, corpus)
        self._is_begun = self._check()

    @staticmethod
    @contextlib.contextmanager
    def locked(directory: AnyPath) -> Iterator[None]:
        """Keeps other processes from pretraining in a folder.

        A folder that a run has finished is only read, and is not locked.

        Raises:
            BlockingIOError: if another process pretrains there.
            FileExistsError: if the path exists and is not a pretraining
                folder.
        """
        path = pathlib.Path(directory)
        if (path / RESULTS_FILE).is_file():
            yield
            return
        _refuse_foreign(path)
        made = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        try:
            with WriteLock(path, path / LOCK_FILE):
                yield
        finally:
            if made and not any(path.iterdir()):
                path.rmdir()

    def begin(self) -> None:
        """Writes the record of configuration and corpus, unless it exists.

        What killed writers have left in the folder is removed.
        """
        for path in (
            *(self._file, self._results, self.vocabulary, self.sequences),
            *(self.pretrainer, self.backbone),
        ):
            if any(self.path.glob(f".{path.name}.*")):
                remove_leftovers(path)
        if self._is_begun:
            return
        self.vocabulary.unlink(missing_ok=True)
        shutil.rmtree(self.sequences, ignore_errors=True)
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self._file, json.dumps(self._record, indent=2) + "\n")

    def _check(self) -> bool:
        """Returns whether the folder belongs to this run."""
        if self._file.is_file():
            record = json.loads(self._file.read_text(encoding="utf-8"))
            differences = _differences(record, self._record)
            if not differences:
                return True
            if any(self.backup.glob("step-*")) or self._results.is_file():
                raise ValueError(
                    "Expected the configuration and corpus of the run in the "
                    "folder, or a new folder. Differences: "
                    f"{'; '.join(differences)}. "
                    f"Received: output={str(self.path)!r}"
                )
            return False
        _refuse_foreign(self.path)
        return False

    def results(self) -> Config | None:
        """Returns the results that `finish` wrote, or `None`."""
        if not self._results.is_file():
            return None
        return dict(json.loads(self._results.read_text(encoding="utf-8")))

    def finish(self, results: Config) -> None:
        """Writes the results, which mark the run as finished."""
        write_text(self._results, json.dumps(results, indent=2) + "\n")


def _refuse_foreign(path: pathlib.Path) -> None:
    """Raises `FileExistsError` if a path is not that of a pretraining run."""
    ours = (LOCK_FILE, f".{RECORD_FILE}.")
    if path.exists() and not (
        path.is_dir()
        and (
            (path / RECORD_FILE).is_file()
            or all(entry.name.startswith(ours) for entry in path.iterdir())
        )
    ):
        raise FileExistsError(
            "Expected a path that does not exist, or the folder of an earlier "
            f"pretraining run. Received: output={str(path)!r}"
        )


def _record(config: PretrainingConfig, corpus: Corpus) -> Config:
    settings = dataclasses.asdict(config)
    if config.vocabulary is not None:
        settings["vocabulary"] = hash_file(config.vocabulary)
    files = [
        {"name": path.name, "sha256": hash_file(path)} for path in corpus.paths
    ]
    return {
        "keras_convbert": __version__,
        "config": settings,
        "corpus": files,
    }


def _differences(old: Config, new: Config) -> list[str]:
    differences = [
        f"{name} was {_get(old, name)!r} and is {value!r}"
        for name, value in new["config"].items()
        if name not in FREE and _get(old, name) != value
    ]
    old_hashes, new_hashes = (
        [file["sha256"] for file in record["corpus"]] for record in (old, new)
    )
    if old_hashes != new_hashes:
        names = [
            [file["name"] for file in record["corpus"]] for record in (old, new)
        ]
        differences.append(
            f"the corpus was {names[0]} and is {names[1]}, with other text"
        )
    return differences


def _get(record: Config, name: str) -> Any:
    # Older records lack newer settings, whose defaults change nothing.
    return record["config"].get(name, getattr(PretrainingConfig, name))
