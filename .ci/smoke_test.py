"""Runs each part of the installed package once, without TensorFlow Text.

    python .ci/smoke_test.py [PACKAGE ...]

A PACKAGE is hidden, as where it is not installed. `KERAS_BACKEND` selects the
backend. Files are written to a temporary folder.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

for package in sys.argv[1:]:
    sys.modules[package] = None  # type: ignore[assignment]

import keras
import numpy as np

import keras_convbert
from keras_convbert import data
from keras_convbert import export
from keras_convbert import layers
from keras_convbert import models
from keras_convbert import recipes

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = ["a b c", "d e"]
SIZES = {
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 8,
    "max_sequence_length": 16,
}
LABELS = ["O", "B-X", "I-X"]


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        use_layers()
        use_tasks(folder)
        pretrain(folder)
        run_command(folder)
        refuse_tensorflow(folder)
    print(f"{keras.backend.backend()}: everything works")


def use_layers() -> None:
    x = np.ones((2, 5, 8), "float32")
    for layer in (
        layers.MixedAttention(num_heads=2, head_dim=4, kernel_size=3),
        layers.LightweightConv1D(kernel_size=3, num_heads=2),
        layers.DynamicConv1D(kernel_size=3, num_heads=2),
    ):
        check(layer(x), (2, 5, 8))


def use_tasks(folder: pathlib.Path) -> None:
    classifier = make(models.ConvBertTextClassifier, labels=["no", "yes"])
    classifier.fit(TEXTS, ["no", "yes"], verbose=0)
    check(classifier.predict(TEXTS, verbose=0), (2, 2))
    wanted = classifier.predict_labels(TEXTS)

    classifier.save(folder / "model.keras")
    classifier.save_to_preset(folder / "preset")
    for copied in (
        keras.saving.load_model(folder / "model.keras"),
        keras_convbert.load_model(folder / "model.keras"),
        models.ConvBertTextClassifier.from_preset(folder / "preset"),
    ):
        assert copied.predict_labels(TEXTS) == wanted

    masked_lm = make(models.ConvBertMaskedLM, mask_selection_length=2)
    masked_lm.fit(TEXTS, verbose=0)
    assert len(masked_lm.fill_mask(["a [MASK]"])) == 1

    answerer = make(
        models.ConvBertQuestionAnswerer, stride=2, max_question_length=4
    )
    answerer.fit(
        (["a", "b"], ["a b", "c b"]),
        [{"text": ["b"], "answer_start": [2]}] * 2,
        verbose=0,
    )
    assert len(answerer.predict_answers(["a"], ["a b"])) == 1

    tagger = make(models.ConvBertTokenClassifier, labels=LABELS)
    words = [text.split() for text in TEXTS]
    tagger.fit(words, [["O", "B-X", "I-X"], ["O", "O"]], verbose=0)
    assert [len(tags) for tags in tagger.predict_labels(words)] == [3, 2]

    embedder = make(models.ConvBertTextEmbedder)
    check(embedder.predict(TEXTS, verbose=0), (2, 8))

    choice = make(models.ConvBertMultipleChoice)
    choices = [["a", "b"], ["c", "d"]]
    choice.fit((TEXTS, choices), [0, 1], verbose=0)
    check(choice.predict((TEXTS, choices), verbose=0), (2, 2))


def make(cls: Any, labels: Any = None, **options: Any) -> Any:
    tokenizer = models.ConvBertTokenizer([*SPECIAL, *"abcdefgh"])
    arguments = {} if labels is None else {"labels": labels}
    if cls is models.ConvBertTokenClassifier:
        options["labels"] = labels
    return cls(
        models.ConvBertBackbone(
            vocabulary_size=tokenizer.vocabulary_size(), **SIZES
        ),
        preprocessor=cls.preprocessor_cls(
            tokenizer, sequence_length=16, **options
        ),
        **arguments,
    )


def pretrain(folder: pathlib.Path) -> None:
    corpus = folder / "corpus.txt"
    sentences = [f"the {a} {b} runs.\n" for a in "abcdef" for b in "uvwxyz"]
    corpus.write_text("\n".join(sentences * 4), encoding="utf-8")
    tokens = data.train_vocabulary([corpus], 40, workers=2)
    data.prepare(
        [corpus],
        models.ConvBertTokenizer(tokens),
        folder / "rows",
        sequence_length=16,
        workers=2,
    )
    batches = data.PretrainingDataset(folder / "rows", batch_size=8)
    assert len(batches) > 0
    recipes.pretrain(
        [corpus],
        folder / "run",
        {
            "model": SIZES,
            "vocabulary_size": 40,
            "sequence_length": 16,
            "held_out": 0.1,
            "steps": 2,
            "batch_size": 8,
            "generator_scale": 0.5,
            "tensorboard": False,
            "workers": 1,
        },
    )
    models.ConvBertBackbone.from_preset(folder / "run" / "backbone")


def run_command(folder: pathlib.Path) -> None:
    """Runs the command line in a process that hides the same packages."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop().split()));"
        "from keras_convbert.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "inspect", str(folder / "preset")]
    subprocess.run(
        [*command, " ".join(sys.argv[1:])],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUTF8": "1"},
    )


def refuse_tensorflow(folder: pathlib.Path) -> None:
    """What needs a hidden package says so, and names it."""
    if "tensorflow_text" not in sys.argv:
        return
    task = make(models.ConvBertTextClassifier, labels=["no", "yes"])
    with expect_import_error():
        export.export_saved_model(task, folder / "servable")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        texts = tf.data.Dataset.from_tensor_slices(TEXTS).batch(2)
        with expect_import_error():
            texts.map(task.preprocessor)
    else:
        (folder / "model.ckpt.index").touch()
        with expect_import_error():
            models.ConvBertBackbone.from_tf1_checkpoint(folder / "model.ckpt")


@contextlib.contextmanager
def expect_import_error() -> Any:
    try:
        yield
    # TensorFlow may raise another class where it traces a function.
    except Exception as error:
        message = str(error)
        assert "keras-convbert[tensorflow]" in message, message
        assert "Python 3.14" in message, message
        assert "Windows" in message, message
        return
    raise AssertionError("Expected an ImportError")


def check(values: Any, shape: tuple[int, ...]) -> None:
    values = keras.ops.convert_to_numpy(values)
    assert values.shape == shape, values.shape
    assert np.isfinite(values).all()


if __name__ == "__main__":
    main()
