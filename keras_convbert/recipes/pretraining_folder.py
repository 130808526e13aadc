import dataclasses
import json
import pathlib
import shutil
from typing import Any

from keras_convbert.data.documents import Corpus
from keras_convbert.files import AnyPath
from keras_convbert.files import hash_file
from keras_convbert.files import write_text
from keras_convbert.recipes.pretraining_config import PretrainingConfig
from keras_convbert.types import Config
from keras_convbert.version import __version__

# May differ from one start to the next.
FREE = ("save_every", "tensorboard", "workers")


class PretrainingFolder:
    """The folder of a pretraining: where what is, and of what it is.

    What was prepared for another configuration or corpus, with no step saved
    yet, does not count: `begin` takes it away.

    Args:
        directory: path of the folder, which may be there from an earlier
            start.
        config: a `PretrainingConfig`.
        corpus: a `Corpus`, which is read once.

    Raises:
        ValueError: if the folder is of another configuration or corpus.
        FileExistsError: if it is something else.
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
        self._results = self.path / "results.json"
        self._file = self.path / "pretraining.json"
        self._record = _record(config, corpus)
        self._is_begun = self._check()

    def begin(self) -> None:
        """Writes what the training is of, unless it is there."""
        if self._is_begun:
            return
        self.vocabulary.unlink(missing_ok=True)
        shutil.rmtree(self.sequences, ignore_errors=True)
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self._file, json.dumps(self._record, indent=2) + "\n")

    def _check(self) -> bool:
        """Whether the folder is of this training; an error if of another."""
        if self._file.is_file():
            there = json.loads(self._file.read_text(encoding="utf-8"))
            differences = _differences(there, self._record)
            if not differences:
                return True
            if any(self.backup.glob("step-*")) or self._results.is_file():
                raise ValueError(
                    f"{str(self.path)!r} is of another pretraining: "
                    f"{'; '.join(differences)}. Expected another folder, or "
                    "the same configuration and corpus."
                )
            return False
        if self.path.exists() and (
            not self.path.is_dir() or any(self.path.iterdir())
        ):
            raise FileExistsError(
                "Expected a path where nothing is yet, or the folder of an "
                f"earlier pretraining. Received: output={str(self.path)!r}"
            )
        return False

    def results(self) -> Config | None:
        """What `finish` wrote, `None` if it did not yet."""
        if not self._results.is_file():
            return None
        return dict(json.loads(self._results.read_text(encoding="utf-8")))

    def finish(self, results: Config) -> None:
        """Writes the results, by which a training is known to be over."""
        write_text(self._results, json.dumps(results, indent=2) + "\n")


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


def _differences(there: Config, now: Config) -> list[str]:
    differences = [
        f"{name} was {_get(there, name)!r} and is {value!r}"
        for name, value in now["config"].items()
        if name not in FREE and _get(there, name) != value
    ]
    before, after = (
        [file["sha256"] for file in record["corpus"]] for record in (there, now)
    )
    if before != after:
        names = [
            [file["name"] for file in record["corpus"]]
            for record in (there, now)
        ]
        differences.append(
            f"the corpus was {names[0]} and is {names[1]}, with other text"
        )
    return differences


def _get(record: Config, name: str) -> Any:
    return record["config"].get(name)
