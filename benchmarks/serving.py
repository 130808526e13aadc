"""A served classifier on raw strings, beside the Hugging Face ConvBERT.

    python benchmarks/serving.py --vocabulary vocab.txt --corpus TEXTS \
        [--model PRESET --data SST-2] [--one-thread-an-operation]

Both models have the same weights (the small size of the paper, untrained), and
each has its own tokenizer. Ours is a SavedModel in TensorFlow, the peer runs on
PyTorch, and they take turns. Texts have 128 tokens. For batches of 1 and 32 the
script reports the median and 99th percentile of the request time and the
strings per second, then the throughput of eight concurrent threads. `--model`
is a fine-tuned classifier; with it, the script reports the accuracy on a
development set when weights are stored in fewer bytes. With
`--one-thread-an-operation` TensorFlow runs operations in parallel, each on one
thread, as its server does with `--tensorflow_intra_op_parallelism=1`. Writes
`results/serving.json`, or `serving_one_thread.json`. Takes 10 minutes.
"""

import argparse
import json
import lzma
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))

import torch  # noqa: E402  (imported after TensorFlow it may crash)

# isort: split
import glue  # noqa: E402
import machine  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import tensorflow as tf  # noqa: E402
import transformers  # noqa: E402

from keras_convbert import export  # noqa: E402
from keras_convbert import models  # noqa: E402

LENGTH = 128
ROUNDS = {1: 150, 32: 20}
THREADS = 8
REQUESTS = 400
STORED = (None, "float16", "bfloat16", "int8")

Ask = Callable[[list[str]], np.ndarray]


def small_classifier(vocabulary: str) -> Any:
    tokenizer = models.ConvBertTokenizer(vocabulary)
    # The Hugging Face model has a dense head and does not mask convolutions.
    backbone = models.ConvBertBackbone.from_preset(
        "convbert_small", load_weights=False, mask_conv=False
    )
    return models.ConvBertTextClassifier(
        backbone,
        num_classes=2,
        head="dense",
        preprocessor=models.ConvBertTextClassifierPreprocessor(
            tokenizer, sequence_length=LENGTH
        ),
    )


def texts_of(corpus: str) -> list[str]:
    """Return texts that fill a sequence."""
    opened = lzma.open if corpus.endswith(".xz") else open
    texts: list[str] = []
    with opened(corpus, "rt", encoding="utf-8") as lines:
        words = (word for line in lines for word in line.split())
        while len(texts) < 256:
            texts.append(" ".join(next(words) for _ in range(LENGTH)))
    return texts


def ours(model: Any, folder: str) -> Ask:
    path = export.export_saved_model(model, folder, signatures=["text"])
    serve = tf.saved_model.load(str(path)).signatures["text"]
    return lambda texts: serve(text=tf.constant(texts))["logits"].numpy()


def theirs(model: Any, folder: str) -> Ask:
    model.export_to_transformers(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    peer = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder
    ).eval()

    def ask(texts: list[str]) -> np.ndarray:
        inputs = tokenizer(
            texts,
            truncation=True,
            max_length=LENGTH,
            padding="max_length",
            return_tensors="pt",
        )
        with torch.inference_mode():
            return peer(**inputs).logits.numpy()

    return ask


def timed(ask: Ask, texts: list[str]) -> float:
    start = time.perf_counter()
    ask(texts)
    return time.perf_counter() - start


def one_by_one(arms: dict[str, Ask], texts: list[str], batch: int) -> Any:
    times: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(ROUNDS[batch] + 2):
        first = number * batch % (len(texts) - batch + 1)
        part = texts[first : first + batch]
        for name, ask in arms.items():
            seconds = timed(ask, part)
            if number >= 2:
                times[name].append(seconds)
    return {name: summary(values, batch) for name, values in times.items()}


def summary(seconds: list[float], batch: int) -> dict[str, float]:
    return {
        "p50, ms": round(1000 * float(np.percentile(seconds, 50)), 2),
        "p99, ms": round(1000 * float(np.percentile(seconds, 99)), 2),
        "strings a second": round(batch / float(np.median(seconds)), 1),
    }


def at_once(ask: Ask, texts: list[str]) -> dict[str, float]:
    """Measure eight threads with requests of one to four texts each."""

    def request(number: int) -> tuple[float, int]:
        rng = np.random.default_rng(number)
        part = [
            " ".join(texts[i].split()[: rng.integers(1, LENGTH)])
            for i in rng.integers(0, len(texts), rng.integers(1, 5))
        ]
        return timed(ask, part), len(part)

    process = psutil.Process()
    with ThreadPoolExecutor(THREADS) as threads:
        [*threads.map(request, range(THREADS * 4))]
        before = process.memory_info().rss
        start = time.perf_counter()
        done = [*threads.map(request, range(REQUESTS))]
        seconds = time.perf_counter() - start
    growth = process.memory_info().rss - before
    return {
        "p50, ms": round(1000 * float(np.median([t for t, _ in done])), 2),
        "p99, ms": round(
            1000 * float(np.percentile([t for t, _ in done], 99)), 2
        ),
        "strings a second": round(sum(n for _, n in done) / seconds, 1),
        "memory grown, MiB": round(growth / 2**20, 1),
    }


def request_of(serve: Any) -> Ask:
    return lambda texts: serve(text=tf.constant(texts))


def stored(preset: str, data: str) -> dict[str, Any]:
    """Return accuracy and bytes of a classifier per storage dtype."""
    layout = glue.task_in(pathlib.Path(data), "sst2")
    texts, labels = glue.read(pathlib.Path(data), layout.dev, layout)
    model = models.ConvBertTextClassifier.from_preset(preset)
    found = {}
    for dtype in STORED:
        with tempfile.TemporaryDirectory() as folder:
            path = export.export_saved_model(
                model, folder, signatures=["text"], dtype=dtype, verbose=False
            )
            variables = path / "variables" / "variables.data-00000-of-00001"
            serve = tf.saved_model.load(str(path)).signatures["text"]
            logits = np.concatenate(
                [
                    serve(text=tf.constant(texts[i : i + 32]))["logits"]
                    for i in range(0, len(texts), 32)
                ]
            )
            right = logits.argmax(-1) == np.array(labels)
            found[str(dtype)] = {
                "accuracy": round(float(right.mean()), 4),
                "bytes": variables.stat().st_size,
                "request of 1, ms": summary(
                    [timed(request_of(serve), texts[:1]) for _ in range(50)],
                    1,
                )["p50, ms"],
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--model", help="preset of a fine-tuned classifier")
    parser.add_argument("--data", help="folder of SST-2")
    parser.add_argument("--output", default=str(HERE / "results"))
    parser.add_argument("--one-thread-an-operation", action="store_true")
    options = parser.parse_args()
    if options.one_thread_an_operation:
        tf.config.threading.set_intra_op_parallelism_threads(1)
    model = small_classifier(options.vocabulary)
    texts = texts_of(options.corpus)
    with tempfile.TemporaryDirectory() as folder:
        arms = {
            "keras_convbert": ours(model, f"{folder}/ours"),
            "transformers": theirs(model, f"{folder}/theirs"),
        }
        answers = [ask(texts[:8]) for ask in arms.values()]
        results: dict[str, Any] = {
            "machine": machine.describe(),
            "parameters": model.count_params(),
            "largest difference of logits": float(
                np.abs(answers[0] - answers[1]).max()
            ),
        }
        for batch in ROUNDS:
            results[f"batch of {batch}"] = one_by_one(arms, texts, batch)
            print(batch, json.dumps(results[f"batch of {batch}"]), flush=True)
        results[f"{THREADS} threads"] = {
            name: at_once(ask, texts) for name, ask in arms.items()
        }
        print(json.dumps(results[f"{THREADS} threads"]), flush=True)
    if options.model:
        results["weights stored as"] = stored(options.model, options.data)
        print(json.dumps(results["weights stored as"]), flush=True)
    ending = "_one_thread" if options.one_thread_an_operation else ""
    target = pathlib.Path(options.output) / f"serving{ending}.json"
    target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
