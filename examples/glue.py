"""Fine-tunes on a GLUE task and evaluates on its development set.

    python examples/glue.py --task sst2 --data SST-2 [--preset PRESET]

DIR is the folder of a task in the GLUE format (`train.tsv`, `dev.tsv`), or has
the original files of CoLA or MRPC. PRESET is an argument of `from_preset`.
Without it, a small ConvBERT is trained from scratch, with a vocabulary of the
training text. The script restores the best epoch and writes predictions,
learning curve and model to `--output`.

Expected with the model of `benchmarks/fine_tuning_preset.py` (half an hour of
pretraining) and `--task sst2 --limit 4000 --epochs 2 --sequence-length 32`: an
accuracy of 0.57 after 3 minutes on one CPU core (AMD EPYC, TensorFlow, with
other work at the same time).
"""

import csv
import pathlib
from typing import Any
from typing import NamedTuple

import fine_tuning


class Task(NamedTuple):
    """Format of the files of a task."""

    texts: tuple[str | int, ...]
    """Columns of the texts: names, or numbers in a file without header."""
    label: str | int
    classes: tuple[str, ...] = ("0", "1")
    """Empty for regression."""
    train: tuple[str, ...] = ("train.tsv",)
    dev: tuple[str, ...] = ("dev.tsv",)


ENTAILMENT = ("entailment", "not_entailment")
TASKS = {
    "sst2": Task(("sentence",), "label"),
    "cola": Task((3,), 1),
    "mrpc": Task(("#1 String", "#2 String"), "Quality"),
    "stsb": Task(("sentence1", "sentence2"), "score", ()),
    "rte": Task(("sentence1", "sentence2"), "label", ENTAILMENT),
    "qnli": Task(("question", "sentence"), "label", ENTAILMENT),
    "mnli": Task(
        ("sentence1", "sentence2"),
        "gold_label",
        ("entailment", "neutral", "contradiction"),
        dev=("dev_matched.tsv",),
    ),
    "qqp": Task(("question1", "question2"), "is_duplicate"),
}
# File names in the original releases of the data sets.
OWN_FILES = {
    "cola": (
        ("in_domain_train.tsv",),
        ("in_domain_dev.tsv", "out_of_domain_dev.tsv"),
    ),
    "mrpc": (("msr_paraphrase_train.txt",), ("msr_paraphrase_test.txt",)),
}

if __name__ == "__main__":
    PARSER = fine_tuning.parser(__doc__, "glue_output")
    PARSER.add_argument("--task", required=True, choices=TASKS)
    ARGUMENTS = fine_tuning.parse(PARSER)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_convbert import models  # noqa: E402
from keras_convbert.training import F1Score  # noqa: E402
from keras_convbert.training import MatthewsCorrelation  # noqa: E402
from keras_convbert.training import PearsonCorrelation  # noqa: E402
from keras_convbert.training import SpearmanCorrelation  # noqa: E402

Samples = tuple[Any, np.ndarray]


def main(options: Any) -> None:
    folder = pathlib.Path(options.data)
    task = task_in(folder, options.task)
    train = read(folder, task.train, task, options.limit)
    dev = read(folder, task.dev, task)
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    metrics = metrics_of(options.task)
    monitor = f"val_{metrics[0].name}"
    results = []
    for seed in range(options.seeds):
        print(f"seed {seed}")
        keras.utils.set_random_seed(seed)
        classifier = new_classifier(options, task, train[0], output)
        curve = fine_tuning.train(
            classifier,
            options,
            train,
            dev,
            monitor,
            metrics=metrics_of(options.task),
        )
        found = classifier.evaluate(*dev, verbose=0, return_dict=True)
        scores = {metric.name: found[metric.name] for metric in metrics}
        results.append({"seed": seed, "curve": curve, **scores})
    write(output / "predictions.tsv", classifier, task, dev)
    classifier.save_to_preset(output / "classifier")
    fine_tuning.finish(results, output, options.task)


def task_in(folder: pathlib.Path, name: str) -> Task:
    """Returns the task, with the file names that the folder contains."""
    task = TASKS[name]
    if name in OWN_FILES and not (folder / task.dev[0]).exists():
        train, dev = OWN_FILES[name]
        return task._replace(train=train, dev=dev)
    return task


def read(
    folder: pathlib.Path,
    names: tuple[str, ...],
    task: Task,
    limit: int | None = None,
) -> Samples:
    """Returns texts and labels; text pairs are a tuple of two lists."""
    rows = [row for name in names for row in read_table(folder / name, task)]
    rows = rows[:limit]
    texts = tuple([row[column] for row in rows] for column in task.texts)
    labels = [row[task.label] for row in rows]
    if task.classes:
        unknown = set(labels) - {*task.classes}
        if unknown:
            raise SystemExit(
                f"Expected labels of {task.classes} in {folder / names[0]}. "
                f"Received: {sorted(unknown)[:5]}"
            )
        y = np.array([task.classes.index(label) for label in labels], "int32")
    else:
        # Scores are 0 to 5; as the authors do, scale them to 0 to 1.
        y = np.array([float(label) / 5 for label in labels], "float32")
    return (texts if len(texts) > 1 else texts[0]), y


def read_table(path: pathlib.Path, task: Task) -> list[Any]:
    """Reads the rows of a TSV file; quotes are ordinary characters."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        options: dict[str, Any] = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
        if isinstance(task.label, int):
            return [row for row in csv.reader(file, **options) if row]
        rows = csv.DictReader(file, **options)
        needed = {*task.texts, task.label}
        missing = needed - {*(rows.fieldnames or ())}
        if missing:
            raise SystemExit(
                f"Expected the columns {sorted(needed)} in {path}. "
                f"Received: {rows.fieldnames}"
            )
        # Skip truncated lines.
        return [row for row in rows if all(row[name] for name in needed)]


def metrics_of(name: str) -> list[keras.metrics.Metric]:
    """Returns the GLUE metrics; the first one selects the best epoch."""
    if name == "cola":
        return [MatthewsCorrelation()]
    if name == "stsb":
        return [SpearmanCorrelation(max_samples=4096), PearsonCorrelation()]
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    return [accuracy, F1Score()] if name in ("mrpc", "qqp") else [accuracy]


def new_classifier(
    options: Any, task: Task, texts: Any, output: pathlib.Path
) -> models.ConvBertTextClassifier:
    size = len(task.classes) or 1
    if options.preset:
        return models.ConvBertTextClassifier.from_preset(
            options.preset,
            num_classes=size,
            sequence_length=options.sequence_length,
        )
    listed = (
        [text for part in texts for text in part]
        if isinstance(texts, tuple)
        else texts
    )
    backbone, tokenizer = fine_tuning.from_scratch(listed, output)
    return models.ConvBertTextClassifier(
        backbone,
        size,
        preprocessor=models.ConvBertTextClassifierPreprocessor(
            tokenizer, sequence_length=options.sequence_length
        ),
    )


def write(
    path: pathlib.Path,
    classifier: models.ConvBertTextClassifier,
    task: Task,
    samples: Samples,
) -> None:
    """Writes index and prediction in the GLUE format."""
    found = classifier.predict(samples[0], verbose=0)
    if task.classes:
        answers = [task.classes[i] for i in found.argmax(axis=-1)]
    else:
        answers = [f"{5 * value:.3f}" for value in found[:, 0].clip(0, 1)]
    lines = [f"{i}\t{answer}\n" for i, answer in enumerate(answers)]
    path.write_text("".join(["index\tprediction\n", *lines]))


if __name__ == "__main__":
    main(ARGUMENTS)
