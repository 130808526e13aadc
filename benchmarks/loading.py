"""The time to open a model and to learn a vocabulary.

    python benchmarks/loading.py [--backends torch jax tensorflow] [--rounds 5]

`from_preset` of a classifier of the base size (106 million parameters, random
weights), from a preset and from a Hugging Face folder, beside `from_pretrained`
of the Hugging Face ConvBERT from the same folder. Each backend has its process,
and the arms take turns; the first load of each is not timed. Then
`train_vocabulary` on 16 MB of synthetic text, with one process and with two, in
turns. Reports medians. Writes `results/loading.json`.
"""

import argparse
import functools
import json
import os
import pathlib
import random
import statistics
import tempfile
import time
from typing import Any

import machine
import measure
import processes

PEER = "transformers"
CORPUS_BYTES = 16_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--backends", nargs="+", default=["torch", "jax", "tensorflow"]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    output = machine.folder(options.output, partial=False)
    with tempfile.TemporaryDirectory() as folder:
        results: dict[str, Any] = {
            "command": machine.command(),
            "machine": machine.describe(),
            "from_preset": loads(options, folder),
            "train_vocabulary": vocabularies(options.rounds, folder),
        }
    for part in ("from_preset", "train_vocabulary"):
        for arm, result in results[part].items():
            print(part, arm, result, flush=True)
    text = json.dumps(results, indent=1) + "\n"
    (output / "loading.json").write_text(text)


def loads(options: argparse.Namespace, folder: str) -> dict[str, Any]:
    with processes.Workers(Loader) as workers:
        workers["torch"].ask("write", folder)
        arms = {
            f"{backend}, {kind}": (backend, kind)
            for backend in options.backends
            for kind in ("preset", "hugging face")
        }
        arms[PEER] = ("torch", PEER)
        times = {
            name: functools.partial(workers[backend].ask, "load", folder, kind)
            for name, (backend, kind) in arms.items()
        }
        for run in times.values():
            run()
        found = measure.turns(times, options.rounds, budget=600)
    return {name: summary(seconds) for name, seconds in found.items()}


def vocabularies(rounds: int, folder: str) -> dict[str, Any]:
    corpus = pathlib.Path(folder, "corpus.txt")
    corpus.write_text(synthetic_text())
    with processes.Workers(Loader) as workers:
        learn = functools.partial(
            workers["torch"].ask, "train_vocabulary", str(corpus)
        )
        times = {
            f"{number} processes": functools.partial(learn, number)
            for number in (1, 2)
        }
        found = measure.turns(times, rounds, budget=120)
    return {name: summary(seconds) for name, seconds in found.items()}


def synthetic_text() -> str:
    """Return text whose words have frequencies by the law of Zipf."""
    source = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    words = [
        "".join(source.choices(letters, k=source.randint(1, 11)))
        for _ in range(50_000)
    ]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    lines, size = [], 0
    while size < CORPUS_BYTES:
        line = " ".join(source.choices(words, weights, k=80)) + "."
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines)


def summary(seconds: list[float]) -> dict[str, Any]:
    return {
        "median_s": round(statistics.median(seconds), 2),
        "times_s": [round(value, 2) for value in seconds],
    }


class Loader:
    """Loads models and learns vocabularies in a process of its own."""

    def __init__(self, backend: str) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"

    def write(self, folder: str) -> None:
        from keras_convbert import models

        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        words = [f"w{number}" for number in range(30_522 - len(special))]
        tokenizer = models.ConvBertTokenizer([*special, *words])
        task = models.ConvBertTextClassifier(
            models.ConvBertBackbone.from_preset(
                "convbert_base", load_weights=False
            ),
            num_classes=2,
            head="dense",
            preprocessor=models.ConvBertTextClassifierPreprocessor(
                tokenizer, sequence_length=128
            ),
        )
        task.save_to_preset(pathlib.Path(folder, "preset"))
        task.export_to_transformers(pathlib.Path(folder, "hugging face"))

    def load(self, folder: str, kind: str) -> float:
        if kind == PEER:
            import transformers

            cls = transformers.ConvBertForSequenceClassification
            path = pathlib.Path(folder, "hugging face")
            load: Any = cls.from_pretrained
        else:
            from keras_convbert import models

            path = pathlib.Path(folder, kind)
            load = models.ConvBertTextClassifier.from_preset
        start = time.perf_counter()
        load(path)
        return time.perf_counter() - start

    def train_vocabulary(self, corpus: str, workers: int) -> float:
        from keras_convbert import data

        start = time.perf_counter()
        data.train_vocabulary(corpus, 8000, workers=workers, progress=False)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
