"""Fine-tunes a token classifier for named entities on CoNLL-2003.

    python examples/ner.py --data conll2003 [--preset PRESET] [--seeds 3]

DIR has `eng.train`, `eng.testa` and `eng.testb`, with one word per line, the
tag in the last column, and a blank line between sentences. PRESET is an
argument of `from_preset`. Without it, a small ConvBERT is trained from scratch,
with a vocabulary of the training text. The script restores the best epoch by F1
on the development set, prints a table by entity type, and writes predictions,
learning curve and model to `--output`.

Expected with the model of `benchmarks/fine_tuning_preset.py` (half an hour of
pretraining) and `--limit 5000 --sequence-length 64`: an F1 of 0.43 on
`eng.testa` and 0.40 on `eng.testb` after 9 minutes on one CPU core (AMD EPYC,
TensorFlow, with other work at the same time).
"""

import argparse
import collections
import pathlib
import random

import fine_tuning

FILES = {"train": "eng.train", "dev": "eng.testa", "test": "eng.testb"}
EXAMPLES = 3

if __name__ == "__main__":
    ARGUMENTS = fine_tuning.parse(fine_tuning.parser(__doc__, "ner_output"))

import keras  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.markup import escape  # noqa: E402
from rich.table import Table  # noqa: E402

from keras_convbert import models  # noqa: E402

CONSOLE = Console()
Sentences = tuple[list[list[str]], list[list[str]]]


def main(options: argparse.Namespace) -> None:
    files = {
        part: read_columns(pathlib.Path(options.data) / name)
        for part, name in FILES.items()
    }
    # From the whole file, because the first `limit` sentences may lack some.
    labels = sorted({tag for tags in files["train"][1] for tag in tags})
    if options.limit:
        words, tags = files["train"]
        files["train"] = words[: options.limit], tags[: options.limit]
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in range(options.seeds):
        CONSOLE.rule(f"seed {seed}")
        keras.utils.set_random_seed(seed)
        tagger = new_tagger(options, labels, files["train"][0], output)
        curve = fine_tuning.train(
            tagger, options, files["train"], files["dev"], "val_entity_f1"
        )
        results.append({"seed": seed, "curve": curve})
        for part in ("dev", "test"):
            found = tagger.predict_labels(files[part][0])
            counts = counts_of(files[part][1], found)
            results[-1][part] = scores(counts)["all"]["f1"]
            if part == "test":
                show(counts, files[part], found)
                write(output / "predictions.txt", files[part], found)
    tagger.save_to_preset(output / "tagger")
    fine_tuning.finish(results, output, "F1")


def read_columns(path: pathlib.Path) -> Sentences:
    """Reads sentences and tags from a CoNLL file."""
    sentences: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        columns = line.split()
        if not columns:
            sentences.append([])
            tags.append([])
        elif columns[0] != "-DOCSTART-":
            sentences[-1].append(columns[0])
            tags[-1].append(columns[-1])
    kept = [i for i, sentence in enumerate(sentences) if sentence]
    return [sentences[i] for i in kept], [tags[i] for i in kept]


def new_tagger(
    options: argparse.Namespace,
    labels: list[str],
    sentences: list[list[str]],
    output: pathlib.Path,
) -> models.ConvBertTokenClassifier:
    if options.preset:
        return models.ConvBertTokenClassifier.from_preset(
            options.preset,
            labels=labels,
            sequence_length=options.sequence_length,
        )
    backbone, tokenizer = fine_tuning.from_scratch(
        [" ".join(sentence) for sentence in sentences], output
    )
    return models.ConvBertTokenClassifier(
        backbone,
        labels,
        preprocessor=models.ConvBertTokenClassifierPreprocessor(
            tokenizer, labels, sequence_length=options.sequence_length
        ),
    )


def spans_of(tags: list[str]) -> set[tuple[str, int, int]]:
    return set(models.entity_spans(tags))


def counts_of(
    wanted: list[list[str]], found: list[list[str]]
) -> dict[str, collections.Counter[str]]:
    """Counts correct, predicted and actual entities per type."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(
        collections.Counter
    )
    for one, other in zip(wanted, found, strict=True):
        there, told = spans_of(one), spans_of(other)
        for name, spans in (
            ("right", there & told),
            ("found", told),
            ("there", there),
        ):
            for kind, *_ in spans:
                counts[kind][name] += 1
    return dict(sorted(counts.items()))


def scores(
    counts: dict[str, collections.Counter[str]],
) -> dict[str, dict[str, float]]:
    everything = sum(counts.values(), collections.Counter())
    return {
        kind: {
            "precision": count["right"] / max(1, count["found"]),
            "recall": count["right"] / max(1, count["there"]),
            "f1": 2 * count["right"] / max(1, count["found"] + count["there"]),
        }
        for kind, count in {**counts, "all": everything}.items()
    }


def show(
    counts: dict[str, collections.Counter[str]],
    wanted: Sentences,
    found: list[list[str]],
) -> None:
    table = Table("type", "precision", "recall", "F1", title=FILES["test"])
    for kind, score in scores(counts).items():
        table.add_row(kind, *(f"{value:.3f}" for value in score.values()))
    CONSOLE.print(table)
    pairs = [*zip(*wanted, found, strict=True)]
    for words, tags, told in random.Random(0).sample(pairs, EXAMPLES):
        CONSOLE.print("predicted", highlighted(words, told))
        CONSOLE.print("expected ", highlighted(words, tags))


def highlighted(words: list[str], tags: list[str]) -> str:
    words = [escape(word) for word in words]
    for kind, start, end in spans_of(tags):
        words[start] = f"[bold]{words[start]}"
        words[end - 1] += f"[/bold][dim]/{kind}[/dim]"
    return " ".join(words)


def write(
    path: pathlib.Path, wanted: Sentences, found: list[list[str]]
) -> None:
    """Writes word, tag and prediction in the `conlleval` format."""
    sentences = [
        "".join(f"{' '.join(row)}\n" for row in zip(*rows, strict=True))
        for rows in zip(*wanted, found, strict=True)
    ]
    path.write_text("\n".join(sentences), encoding="utf-8")


if __name__ == "__main__":
    main(ARGUMENTS)
