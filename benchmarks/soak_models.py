"""Small tasks of every kind, served and dropped in a process of their own."""

import gc
import pathlib
import random
import tempfile
import time
import weakref
from collections.abc import Callable
from typing import Any

import keras
import psutil

from keras_convbert import export
from keras_convbert import models

WORDS = [f"w{number}" for number in range(500)]
LENGTH = 128
LABELS = ["O", "B-X", "I-X"]
MEBIBYTE = 2**20


class Server:
    """Tasks in one process, asked by every method that predicts.

    Args:
        backend: the Keras backend. On TensorFlow the process also loads and
            asks the SavedModel of each task.
        seed: seed of the requests.
    """

    def __init__(self, backend: str, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._methods = self._methods_of_tasks()
        if backend == "tensorflow":
            self._methods.update(self._signatures())

    def serve(self, minutes: float) -> dict[str, Any]:
        """Return the memory every half minute, and the number of requests."""
        count = dict.fromkeys(self._methods, 0)
        memory = [resident_memory()]
        start = time.monotonic()
        while time.monotonic() - start < 60 * minutes:
            name = self._random.choice([*self._methods])
            self._methods[name](self._random.randint(1, 40))
            count[name] += 1
            if time.monotonic() - start > 30 * len(memory):
                memory.append(resident_memory())
        memory.append(resident_memory())
        return {"requests": count, "memory_mib": memory}

    def _methods_of_tasks(self) -> dict[str, Callable[[int], Any]]:
        tokenizer = make_tokenizer()
        made = {
            "classifier": classifier(tokenizer),
            "tagger": tagger(tokenizer),
            "answerer": task_of(models.ConvBertQuestionAnswerer, tokenizer),
            "masked_lm": task_of(models.ConvBertMaskedLM, tokenizer),
            "embedder": task_of(models.ConvBertTextEmbedder, tokenizer),
            "chooser": task_of(models.ConvBertMultipleChoice, tokenizer),
        }
        self._tasks = made
        texts, sentences = self._texts, self._sentences

        def pairs(rows: int) -> tuple[list[str], list[str]]:
            return texts(rows), texts(rows)

        def masked(rows: int) -> list[str]:
            return [f"w1 [MASK] {text}" for text in texts(rows, 60)]

        def choices(rows: int) -> tuple[list[str], list[list[str]]]:
            return texts(rows, 60), [texts(3, 20) for _ in range(rows)]

        classify = made["classifier"].predict_labels
        return {
            "predict_labels": lambda n: classify(texts(n)),
            "predict_labels, pairs": lambda n: classify(pairs(n)),
            "predict_labels, windows": lambda n: classify(
                texts(n), long_texts="window"
            ),
            "predict of the classifier": lambda n: made["classifier"].predict(
                texts(n), verbose=0
            ),
            "predict_labels of words": lambda n: made["tagger"].predict_labels(
                sentences(n)
            ),
            "predict_spans": lambda n: made["tagger"].predict_spans(
                sentences(n)
            ),
            "predict_answers": lambda n: made["answerer"].predict_answers(
                texts(n, 20), texts(n)
            ),
            "fill_mask": lambda n: made["masked_lm"].fill_mask(masked(n)),
            "predict of the embedder": lambda n: made["embedder"].predict(
                texts(n), verbose=0
            ),
            "predict of multiple choice": lambda n: made["chooser"].predict(
                choices(n), verbose=0
            ),
        }

    def _signatures(self) -> dict[str, Callable[[int], Any]]:
        import tensorflow as tf

        asked: dict[str, Callable[[int], Any]] = {}
        self._served = []
        with tempfile.TemporaryDirectory() as folder:
            for task_name in ("classifier", "tagger", "answerer", "embedder"):
                path = export.export_saved_model(
                    self._tasks[task_name],
                    pathlib.Path(folder, task_name),
                    version=1,
                    verbose=False,
                )
                served = tf.saved_model.load(str(path))
                self._served.append(served)
                for name, signature in served.signatures.items():
                    if name != "serving_default":
                        asked[f"{task_name}, {name}"] = self._request(signature)
        return asked

    def _request(self, signature: Any) -> Callable[[int], Any]:
        """Return a function that asks a signature for a number of rows."""
        import tensorflow as tf

        names = [*signature.structured_input_signature[1]]

        def ask(rows: int) -> Any:
            inputs = {name: self._texts(rows) for name in names}
            return signature(**{k: tf.constant(v) for k, v in inputs.items()})

        return ask

    def _texts(self, rows: int, longest: int = 300) -> list[str]:
        return [" ".join(words) for words in self._sentences(rows, longest)]

    def _sentences(self, rows: int, longest: int = 300) -> list[list[str]]:
        longest = self._random.randint(1, longest)
        return [
            self._random.choices(WORDS, k=self._random.randint(1, longest))
            for _ in range(rows)
        ]


class Builder:
    """Builds, fits and drops models one after another in one process."""

    def __init__(self, backend: str) -> None:
        self._tokenizer = make_tokenizer()

    def build(self, number: int) -> dict[str, Any]:
        """Return the memory after each model, and how many were not freed."""
        made, memory = [], []
        for _ in range(number):
            made.append(self._fit())
            keras.backend.clear_session()
            gc.collect()
            memory.append(resident_memory())
        kept = sum(reference() is not None for reference in made)
        return {"kept": kept, "memory_mib": memory}

    def _fit(self) -> Any:
        task = classifier(self._tokenizer, hidden_dim=256, num_layers=4)
        task.compile()
        texts = [" ".join(WORDS[first : first + 9]) for first in range(64)]
        task.fit(texts, [0, 1, 2, 0] * 16, batch_size=16, verbose=0)
        task.predict_labels(texts[:4])
        return weakref.ref(task)


def resident_memory() -> int:
    """Return the resident memory of this process in MiB."""
    return int(psutil.Process().memory_info().rss // MEBIBYTE)


def make_tokenizer() -> Any:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return models.ConvBertTokenizer([*special, *WORDS])


def backbone(tokenizer: Any, **sizes: Any) -> Any:
    defaults = {"num_layers": 2, "num_heads": 4, "hidden_dim": 64}
    sizes = {**defaults, **sizes}
    return models.ConvBertBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        intermediate_dim=2 * sizes["hidden_dim"],
        max_sequence_length=LENGTH,
        **sizes,
    )


def classifier(tokenizer: Any, **sizes: Any) -> Any:
    return models.ConvBertTextClassifier(
        backbone(tokenizer, **sizes),
        num_classes=3,
        preprocessor=models.ConvBertTextClassifierPreprocessor(
            tokenizer, sequence_length=LENGTH
        ),
    )


def tagger(tokenizer: Any) -> Any:
    return models.ConvBertTokenClassifier(
        backbone(tokenizer),
        LABELS,
        preprocessor=models.ConvBertTokenClassifierPreprocessor(
            tokenizer, LABELS, sequence_length=LENGTH
        ),
    )


def task_of(cls: Any, tokenizer: Any) -> Any:
    """Return a task whose constructor needs a backbone alone."""
    return cls(
        backbone(tokenizer),
        preprocessor=cls.preprocessor_cls(tokenizer, sequence_length=LENGTH),
    )
