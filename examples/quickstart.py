"""From text to a served model: vocabulary, pretraining, fine-tuning, export.

    make demo                                  # or, in your own environment:
    python examples/quickstart.py [--backend jax] [--corpus my_text.txt]

A small ConvBERT (2 layers of width 128, 0.9 M parameters) is pretrained by
replaced-token detection on the installed documentation of Python, NumPy, Keras
and TensorFlow. Then it is fine-tuned to predict which of these packages a
paragraph documents, and tested on other modules. The script prints a table of
the results, and fails if the model learned nothing.

Minutes of pretraining teach a model only the most frequent words: the
classifier is not better than one trained from scratch, and often slightly
worse. The benefit of pretraining takes hours and a larger corpus.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from typing import Any

HERE = pathlib.Path(__file__).parent
VOCABULARY_SIZE = 4096
SEQUENCE_LENGTH = 64
BATCH_SIZE = 16
STEPS = 600
FINE_TUNING_EPOCHS = 3
# Paragraphs per package, for training and for testing.
PARAGRAPHS = {"train": 1000, "test": 250}
# Required on held-out text.
AUC_BOUND = 0.65
MLM_FALL_BOUND = 1.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--backend",
        choices=["tensorflow", "jax", "torch"],
        default=os.environ.get("KERAS_BACKEND", "tensorflow"),
    )
    parser.add_argument(
        "--corpus",
        nargs="+",
        metavar="PATH",
        help="text to pretrain on: .txt, .gz or .xz, with one paragraph per "
        "line and a blank line between documents",
    )
    parser.add_argument("--output", default="quickstart_output")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--permute-labels",
        action="store_true",
        help="control experiment: pretrain on permuted labels of "
        "replaced-token detection; the run must fail",
    )
    parser.add_argument(
        "--pretrain-only",
        action="store_true",
        help="stop after pretraining",
    )
    return parser.parse_args()


if __name__ == "__main__":
    ARGUMENTS = arguments()
    # Keras reads this once, when it is imported.
    os.environ["KERAS_BACKEND"] = ARGUMENTS.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(HERE))

import installed_text  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from keras_convbert import data  # noqa: E402
from keras_convbert import export  # noqa: E402
from keras_convbert import models  # noqa: E402
from keras_convbert.files import atomic_file  # noqa: E402
from keras_convbert.training import AdamW  # noqa: E402
from keras_convbert.training import WarmupLinearDecay  # noqa: E402

CONSOLE = Console()


def main(options: argparse.Namespace) -> None:
    started = time.time()
    keras.utils.set_random_seed(options.seed)
    output = pathlib.Path(options.output)
    if output.exists() and not (output / "corpus.txt").exists():
        raise SystemExit(
            "Expected a new folder, or one of an earlier run of this script. "
            f"Received: --output {output}"
        )
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)

    step("Reading the documentation of the installed packages")
    paragraphs = installed_paragraphs(output / "corpus.txt")
    corpus = options.corpus or [output / "corpus.txt"]

    step("Training a vocabulary")
    vocabulary = data.train_vocabulary(corpus, VOCABULARY_SIZE)
    tokenizer = models.ConvBertTokenizer(vocabulary)

    step("Splitting the text into sequences")
    manifest = data.prepare(
        corpus,
        tokenizer,
        output / "sequences",
        sequence_length=SEQUENCE_LENGTH,
        seed=options.seed,
    )
    train = data.PretrainingDataset(
        output / "sequences", BATCH_SIZE, seed=options.seed, part=(0.0, 0.95)
    )
    held_out = data.PretrainingDataset(
        output / "sequences", BATCH_SIZE, part=(0.95, 1.0), shuffle=False
    )

    step(f"Pretraining for {options.steps} steps on {options.backend}")
    pretrainer = make_pretrainer(tokenizer, options)
    before = pretrainer.evaluate(held_out, return_dict=True, verbose=0)
    pretrain(pretrainer, train, options.steps)
    after = pretrainer.evaluate(held_out, return_dict=True, verbose=0)
    check_learning(before, after)
    if options.pretrain_only:
        return
    pretrainer.backbone.save_to_preset(output / "pretrained")

    step("Fine-tuning: predict which package a paragraph documents")
    pretrained = models.ConvBertBackbone.from_preset(str(output / "pretrained"))
    untrained = models.ConvBertBackbone.from_config(pretrained.get_config())
    classifier, accuracy = fine_tune(pretrained, tokenizer, paragraphs)
    step("Training the same classifier from scratch, to compare")
    _, accuracy_untrained = fine_tune(untrained, tokenizer, paragraphs)
    labels = paragraphs["test"][1]
    majority = np.bincount(labels).max() / len(labels)

    step("Saving, exporting and comparing the copies")
    texts = paragraphs["test"][0][:50]
    expected = classifier.predict(texts, verbose=0)
    keras_file = output / "classifier.keras"
    # If Keras is killed while it saves, it leaves a truncated file.
    with atomic_file(keras_file) as temporary:
        classifier.save(temporary)
    differences = {
        "the .keras file, reloaded": largest_difference(
            expected,
            keras.models.load_model(keras_file).predict(texts, verbose=0),
        )
    }
    for backend in other_backends(options.backend):
        differences[f"the .keras file, on {backend}"] = largest_difference(
            expected, ask_keras_file(keras_file, texts, backend)
        )
    servable = export.export_saved_model(
        classifier,
        output / "saved_model",
        labels=list(installed_text.PACKAGES),
    )
    answers = ask_saved_model(servable, texts)
    differences["the SavedModel, without this library"] = largest_difference(
        expected, np.array(answers["logits"])
    )

    tokens = options.steps * BATCH_SIZE * SEQUENCE_LENGTH
    rows = [
        ("parameters", f"{pretrainer.backbone.count_params():,}"),
        ("sequences prepared", f"{manifest['rows']:,}"),
        ("pretraining tokens", f"{tokens:,}"),
        ("MLM loss, held out", change(before, after, "mlm_loss")),
        ("RTD AUC, held out", change(before, after, "rtd_auc")),
        ("accuracy, fine-tuned", f"{accuracy:.3f}"),
        ("accuracy, from scratch", f"{accuracy_untrained:.3f}"),
        ("accuracy, majority class", f"{majority:.3f}"),
        ("classifier.keras", megabytes(keras_file)),
        ("saved_model", megabytes(servable)),
        *(
            (f"difference: {name}", f"{value:.1e}")
            for name, value in differences.items()
        ),
        ("minutes in all", f"{(time.time() - started) / 60:.1f}"),
    ]
    table = Table(title=f"Quickstart on {options.backend}", show_header=False)
    for row in rows:
        table.add_row(*row)
    CONSOLE.print(table)
    CONSOLE.print(f'"{texts[0][:70]}…" documents {answers["label"][0]}.')
    if max(differences.values()) > 1e-4:
        raise SystemExit(
            "Expected copies that differ by at most 1e-4. "
            f"Received: {differences}"
        )


def installed_paragraphs(corpus: pathlib.Path) -> dict[str, Any]:
    """Writes the training modules to a corpus, and returns paragraphs.

    Returns:
        `{"train": (texts, labels), "test": (texts, labels)}`.
    """
    found: dict[str, dict[str, int]] = {"train": {}, "test": {}}
    with open(corpus, "w", encoding="utf-8") as file:
        for package, module, paragraphs in installed_text.modules():
            kind = (
                "test" if installed_text.is_test(package, module) else "train"
            )
            label = installed_text.PACKAGES.index(package)
            found[kind].update(dict.fromkeys(paragraphs, label))
            if kind == "train":
                file.write("\n".join(paragraphs) + "\n\n")
    for text in found["train"]:
        found["test"].pop(text, None)
    return {
        kind: balanced(found[kind], PARAGRAPHS[kind]) for kind in PARAGRAPHS
    }


def balanced(
    labelled: dict[str, int], number: int
) -> tuple[list[str], np.ndarray]:
    """Returns up to `number` paragraphs per label, in random order."""
    generator = np.random.default_rng(0)
    pairs = [*labelled.items()]
    generator.shuffle(pairs)
    chosen = [
        pair
        for label in range(len(installed_text.PACKAGES))
        for pair in [p for p in pairs if p[1] == label][:number]
    ]
    generator.shuffle(chosen)
    return [text for text, _ in chosen], np.array([n for _, n in chosen])


class PermutedLabels(models.ConvBertPretrainer):
    """Control experiment: each sequence has the labels of another one."""

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        if training:
            labels = keras.ops.roll(y_pred["rtd_labels"], 1, axis=0)
            y_pred = {**y_pred, "rtd_labels": labels}
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def make_pretrainer(
    tokenizer: models.ConvBertTokenizer, options: argparse.Namespace
) -> models.ConvBertPretrainer:
    backbone = models.ConvBertBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=2,
        num_heads=4,
        hidden_dim=128,
        intermediate_dim=512,
        max_sequence_length=128,
    )
    kind = (
        PermutedLabels
        if options.permute_labels
        else (models.ConvBertPretrainer)
    )
    return kind(
        backbone,
        generator_scale=0.5,
        # The generator soon learns the word frequencies; the discriminator
        # needs hours to learn more than that. Sampling at a higher temperature
        # lets it learn something within minutes.
        temperature=2.0,
        preprocessor=models.ConvBertPretrainerPreprocessor(
            tokenizer, SEQUENCE_LENGTH
        ),
        seed=options.seed,
    )


def pretrain(
    pretrainer: models.ConvBertPretrainer,
    dataset: data.PretrainingDataset,
    steps: int,
) -> None:
    """Trains for `steps` steps, over as many epochs as that takes."""
    rate = WarmupLinearDecay(1e-3, steps // 10, steps)
    pretrainer.compile(AdamW(rate))
    whole_epochs, rest = divmod(steps, len(dataset))
    if whole_epochs:
        pretrainer.fit(dataset, epochs=whole_epochs)
    if rest:
        pretrainer.fit(dataset, steps_per_epoch=rest)


def check_learning(before: dict[str, Any], after: dict[str, Any]) -> None:
    scores = {
        f"{name}_{when}": round(values[name], 4)
        for name in ("mlm_loss", "rtd_auc")
        for when, values in (("before", before), ("after", after))
    }
    print("held out:", json.dumps(scores))
    fall = before["mlm_loss"] - after["mlm_loss"]
    if after["rtd_auc"] < AUC_BOUND or fall < MLM_FALL_BOUND:
        raise SystemExit(
            "The model learned nothing. Expected an RTD AUC of at least "
            f"{AUC_BOUND} and an MLM loss that falls by {MLM_FALL_BOUND}. "
            f"Received: RTD AUC {after['rtd_auc']:.3f}, MLM loss "
            f"{before['mlm_loss']:.2f} to {after['mlm_loss']:.2f}"
        )


def fine_tune(
    backbone: models.ConvBertBackbone,
    tokenizer: models.ConvBertTokenizer,
    paragraphs: dict[str, Any],
) -> tuple[models.ConvBertTextClassifier, float]:
    classifier = models.ConvBertTextClassifier(
        backbone,
        num_classes=len(installed_text.PACKAGES),
        preprocessor=models.ConvBertTextClassifierPreprocessor(
            tokenizer, SEQUENCE_LENGTH
        ),
    )
    texts, labels = paragraphs["train"]
    steps = FINE_TUNING_EPOCHS * -(-len(texts) // 32)
    classifier.compile(AdamW(WarmupLinearDecay(1e-3, steps // 10, steps)))
    classifier.fit(texts, labels, epochs=FINE_TUNING_EPOCHS)
    scores = classifier.evaluate(
        *paragraphs["test"], return_dict=True, verbose=0
    )
    return classifier, scores["sparse_categorical_accuracy"]


def other_backends(backend: str) -> list[str]:
    """Returns the installed backends except the one in use."""
    return [
        name
        for name in ("tensorflow", "jax", "torch")
        if name != backend and importlib.util.find_spec(name)
    ]


def ask_keras_file(
    path: pathlib.Path, texts: list[str], backend: str
) -> np.ndarray:
    code = (
        "import json, sys, keras, keras_convbert\n"
        "classifier = keras.models.load_model(sys.argv[1])\n"
        "logits = classifier.predict(json.load(sys.stdin), verbose=0)\n"
        "print(json.dumps(logits.tolist()))\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": backend}
    return np.array(ask(code, path, texts, environment))


def ask_saved_model(path: pathlib.Path, texts: list[str]) -> dict[str, Any]:
    code = (
        "import json, sys, tensorflow as tf, tensorflow_text\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "texts = tf.constant(json.load(sys.stdin))\n"
        'answers = model.signatures["text"](text=texts)\n'
        "labels = [label.decode() for label in answers['label'].numpy()]\n"
        "logits = answers['logits'].numpy().tolist()\n"
        "print(json.dumps({'label': labels, 'logits': logits}))\n"
    )
    return ask(code, path, texts, dict(os.environ))


def ask(
    code: str, path: pathlib.Path, texts: list[str], environment: dict[str, str]
) -> Any:
    """Runs the code in a new process, and returns the JSON it prints last."""
    process = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        input=json.dumps(texts),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=environment,
    )
    return json.loads(process.stdout.splitlines()[-1])


def largest_difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.max(np.abs(first - second)))


def change(before: dict[str, Any], after: dict[str, Any], name: str) -> str:
    return f"{before[name]:.3f} → {after[name]:.3f}"


def megabytes(path: pathlib.Path) -> str:
    files = path.rglob("*") if path.is_dir() else [path]
    return f"{sum(f.stat().st_size for f in files) / 1e6:.2f} MB"


def step(title: str) -> None:
    CONSOLE.rule(title, align="left")


if __name__ == "__main__":
    main(ARGUMENTS)
