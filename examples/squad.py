"""Fine-tunes a question answerer on SQuAD 1.1 or 2.0.

    python examples/squad.py --data squad [--preset PRESET] [--head joint]

DIR has `train-v1.1.json` and `dev-v1.1.json`, or the files of version 2.0,
plain or compressed (`.xz`, `.gz`). PRESET is an argument of `from_preset`.
Without it, a small ConvBERT is trained from scratch, with a vocabulary of the
training text. The script evaluates with the SQuAD metrics, and writes
predictions in the format of the official SQuAD script, learning curve and model
to `--output`.

Expected with the model of `benchmarks/fine_tuning_preset.py` (half an hour of
pretraining) and `--limit 4000 --dev-limit 1000 --sequence-length 192`: an F1 of
7.1% after 20 minutes on one CPU core (AMD EPYC, TensorFlow). A model this small
finds hardly any answers.
"""

import gzip
import json
import lzma
import pathlib
import random
from collections.abc import Callable
from typing import IO
from typing import Any
from typing import NamedTuple

import fine_tuning

OPENERS: dict[str, Callable[..., IO[str]]] = {
    ".json": open,
    ".xz": lzma.open,
    ".gz": gzip.open,
}
EXAMPLES = 3

if __name__ == "__main__":
    PARSER = fine_tuning.parser(__doc__, "squad_output")
    PARSER.set_defaults(epochs=2, sequence_length=384)
    PARSER.add_argument("--head", choices=["linear", "joint"], default="linear")
    PARSER.add_argument("--stride", type=int, default=128)
    PARSER.add_argument(
        "--max-question-length",
        type=int,
        default=64,
        help="in tokens; at least four less than the sequence length",
    )
    PARSER.add_argument(
        "--threshold",
        type=float,
        help="score difference from which there is no answer; for SQuAD 2.0",
    )
    PARSER.add_argument(
        "--dev-limit", type=int, help="number of evaluation questions"
    )
    ARGUMENTS = fine_tuning.parse(PARSER)

import keras  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.markup import escape  # noqa: E402

from keras_convbert import models  # noqa: E402
from keras_convbert.training import SquadExactMatch  # noqa: E402
from keras_convbert.training import SquadF1  # noqa: E402

CONSOLE = Console()


class Samples(NamedTuple):
    """Questions with ids, contexts and answers."""

    ids: list[str]
    questions: list[str]
    contexts: list[str]
    answers: list[list[dict[str, Any]]]
    """In the SQuAD format; empty for a question without an answer."""

    def pairs(self) -> tuple[list[str], list[str]]:
        return self.questions, self.contexts

    def first_answers(self) -> dict[str, list[Any]]:
        nothing = {"text": "", "answer_start": -1}
        first = [(answers or [nothing])[0] for answers in self.answers]
        return {name: [one[name] for one in first] for name in nothing}


def main(options: Any) -> None:
    folder = pathlib.Path(options.data)
    train = read(find(folder, "train-v*.json*"), options.limit)
    dev = read(find(folder, "dev-v*.json*"), options.dev_limit)
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in range(options.seeds):
        CONSOLE.rule(f"seed {seed}")
        keras.utils.set_random_seed(seed)
        answerer = new_answerer(options, train, output)
        curve = fine_tuning.train(
            answerer,
            options,
            (train.pairs(), train.first_answers()),
            (dev.pairs(), dev.first_answers()),
            "val_start_accuracy",
        )
        found = answerer.predict_answers(
            *dev.pairs(), threshold=options.threshold
        )
        told = [answer["text"] for answer in found]
        results.append({"seed": seed, "curve": curve, **scores(dev, told)})
    show(dev, found)
    predictions = dict(zip(dev.ids, told, strict=True))
    (output / "predictions.json").write_text(json.dumps(predictions))
    answerer.save_to_preset(output / "answerer")
    fine_tuning.finish(results, output, "SQuAD")


def find(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(
            f"Expected one file {pattern} in {folder}. Received: "
            f"{[path.name for path in found]}"
        )
    return found[0]


def read(path: pathlib.Path, limit: int | None) -> Samples:
    """Reads the questions of a SQuAD file."""
    with OPENERS[path.suffix](path, "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    samples = Samples([], [], [], [])
    for article in articles:
        for paragraph in article["paragraphs"]:
            for entry in paragraph["qas"]:
                samples.ids.append(entry["id"])
                samples.questions.append(entry["question"])
                samples.contexts.append(paragraph["context"])
                samples.answers.append(entry["answers"])
    return Samples(
        samples.ids[:limit],
        samples.questions[:limit],
        samples.contexts[:limit],
        samples.answers[:limit],
    )


def new_answerer(
    options: Any, train: Samples, output: pathlib.Path
) -> models.ConvBertQuestionAnswerer:
    lengths = {
        "sequence_length": options.sequence_length,
        "stride": options.stride,
        "max_question_length": options.max_question_length,
    }
    if options.preset:
        return models.ConvBertQuestionAnswerer.from_preset(
            options.preset, head=options.head, **lengths
        )
    texts = [*train.questions, *dict.fromkeys(train.contexts)]
    backbone, tokenizer = fine_tuning.from_scratch(texts, output)
    return models.ConvBertQuestionAnswerer(
        backbone,
        preprocessor=models.ConvBertQuestionAnswererPreprocessor(
            tokenizer, **lengths
        ),
        head=options.head,
    )


def scores(samples: Samples, told: list[str]) -> dict[str, float]:
    """Returns exact match and F1 in %, as in the official SQuAD script."""
    accepted = [
        [answer["text"] for answer in answers] for answers in samples.answers
    ]
    found = {}
    for name, metric in (("exact", SquadExactMatch()), ("f1", SquadF1())):
        metric.update_state(accepted, told)
        found[name] = float(metric.result())
    return found


def show(samples: Samples, found: list[dict[str, Any]]) -> None:
    """Prints a few predicted answers in their contexts."""
    for i in random.Random(0).sample(
        range(len(found)), min(EXAMPLES, len(found))
    ):
        context, answer = samples.contexts[i], found[i]
        before = context[max(0, answer["start"] - 60) : answer["start"]]
        after = context[answer["end"] : answer["end"] + 60]
        CONSOLE.print(f"[bold]{escape(samples.questions[i])}[/bold]")
        CONSOLE.print(
            f"  …{escape(before)}[reverse]{escape(answer['text'])}[/reverse]"
            f"{escape(after)}…"
        )
        right = [one["text"] for one in samples.answers[i]]
        CONSOLE.print(f"  expected: {escape(str(right))}")


if __name__ == "__main__":
    main(ARGUMENTS)
