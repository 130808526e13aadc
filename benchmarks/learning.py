"""Pretrain and fine-tune two encoders on the same data.

A worker imports this module before its backend is set, so the module itself
imports neither Keras nor a backend.
"""

import argparse
import pathlib
import sys
import time
from typing import Any

ARMS = {
    "ConvBERT": {},
    "attention only": {"conv": False, "head_ratio": 1},
}
# Number of steps over which metrics are averaged.
WINDOW = 50
TASKS = {"sst2": "SST-2", "cola": "CoLA", "mrpc": "MRPC", "stsb": "STS-B"}
FILE_BYTES = 15 * 2**20


class Learning:
    """Pretrains and fine-tunes one encoder at a time, in one process."""

    def __init__(self, backend: str) -> None:
        import keras

        self.backend = backend
        self._models: dict[str, Any] = {}
        keras.utils.set_random_seed(0)

    def seconds_a_step(self, size: str, shards: str, batch: int) -> float:
        """Return the seconds per ConvBERT step, compilation excluded."""
        made, dataset = self._pretrainer("ConvBERT", size, shards, batch, 100)
        made.fit(dataset, steps_per_epoch=2, verbose=0)
        start = time.perf_counter()
        made.fit(dataset, steps_per_epoch=8, verbose=0)
        return (time.perf_counter() - start) / 8

    def pretrain(
        self, name: str, size: str, shards: str, batch: int, windows: int
    ) -> dict[str, Any]:
        window = WINDOW if size != "tiny" else 2
        steps = windows * window
        made, dataset = self._pretrainer(name, size, shards, batch, steps)
        start = time.perf_counter()
        history = made.fit(
            dataset, steps_per_epoch=window, epochs=windows, verbose=0
        ).history
        seconds = time.perf_counter() - start
        self._models[name] = made.backbone
        tokens = steps * batch * dataset.sequence_length
        return {
            "parameters": made.backbone.count_params(),
            "steps": steps,
            "tokens": tokens,
            "tokens a second": round(tokens / seconds),
            "history": {
                k: [round(v, 5) for v in h] for k, h in history.items()
            },
        }

    def fine_tune(
        self,
        name: str,
        task: str,
        data: str,
        vocabulary: str,
        limit: int | None,
        epochs: int,
    ) -> dict[str, float]:
        """Return the GLUE metrics of a task on its development set."""
        examples = pathlib.Path(__file__).parent.parent / "examples"
        sys.path.insert(0, str(examples))
        import glue

        folder = pathlib.Path(data) / TASKS[task]
        layout = glue.task_in(folder, task)
        train = glue.read(folder, layout.train, layout, limit)
        dev = glue.read(folder, layout.dev, layout, limit)
        classifier = self._classifier(name, vocabulary, len(layout.classes))
        classifier.compile(
            _optimizer(len(train[1]), epochs), metrics=(glue.metrics_of(task))
        )
        classifier.fit(*train, batch_size=32, epochs=epochs, verbose=0)
        found = classifier.evaluate(*dev, verbose=0, return_dict=True)
        return {k: round(float(v), 4) for k, v in found.items()}

    def save(self, name: str, folder: str) -> list[str]:
        """Save the weights in float16, in files of less than 16 MB."""
        import numpy as np

        target = pathlib.Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        parts: list[dict[str, Any]] = [{}]
        size = 0
        for variable in self._models[name].weights:
            for label, array in _pieces(variable):
                if size + array.nbytes > FILE_BYTES:
                    parts.append({})
                    size = 0
                parts[-1][label] = array
                size += array.nbytes
        paths = []
        for number, part in enumerate(parts):
            path = target / f"{name.replace(' ', '_')}-{number}.npz"
            np.savez(path, **part)
            paths.append(path.name)
        return paths

    def _pretrainer(
        self, name: str, size: str, shards: str, batch: int, steps: int
    ) -> Any:
        import pretraining

        from keras_convbert import data
        from keras_convbert.training import AdamW
        from keras_convbert.training import WarmupLinearDecay

        dataset = data.PretrainingDataset(shards, batch, seed=0)
        dtype = "float32" if size == "tiny" else "mixed_bfloat16"
        made = pretraining.new_pretrainer(size, dataset, dtype, **ARMS[name])
        rate = WarmupLinearDecay(5e-4, steps // 10, steps)
        made.compile(AdamW(rate))
        return made, dataset

    def _classifier(self, name: str, vocabulary: str, classes: int) -> Any:
        """Return a new head on a copy of the pretrained encoder."""
        from keras_convbert import models

        pretrained = self._models[name]
        backbone = models.ConvBertBackbone.from_config(pretrained.get_config())
        backbone.set_weights(pretrained.get_weights())
        tokenizer = models.ConvBertTokenizer(vocabulary)
        return models.ConvBertTextClassifier(
            backbone,
            num_classes=classes or 1,
            preprocessor=models.ConvBertTextClassifierPreprocessor(
                tokenizer, sequence_length=128
            ),
        )


def _optimizer(samples: int, epochs: int) -> Any:
    from keras_convbert.training import AdamW
    from keras_convbert.training import LayerwiseDecay
    from keras_convbert.training import WarmupLinearDecay

    total = -(-samples // 32) * epochs
    rate = WarmupLinearDecay(3e-4, total // 10, total)
    return AdamW(rate, layerwise_decay=LayerwiseDecay(12, decay=0.8))


def _pieces(variable: Any) -> Any:
    """Yield a variable in pieces that fit into a file, with names."""
    import keras
    import numpy as np

    array = keras.ops.convert_to_numpy(variable.value).astype("float16")
    count = -(-array.nbytes // FILE_BYTES)
    if count == 1:
        yield variable.path, array
        return
    for number, piece in enumerate(np.array_split(array, count)):
        yield f"{variable.path}, part {number}", piece


def run(workers: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Run both arms on the same data, order and number of steps."""
    worker = workers[options.learn_on]
    common = (options.size, options.shards, options.batch)
    windows = 2
    if options.size != "tiny":
        step = worker.ask("seconds_a_step", *common)
        windows = max(2, int(60 * options.minutes / 2 / step / WINDOW))
    results: dict[str, Any] = {}
    for name in ARMS:
        got = worker.ask("pretrain", name, *common, windows)
        got["weights"] = worker.ask("save", name, options.weights)
        results[name] = got
        for task in TASKS if options.glue else ():
            results[name][task] = worker.ask(
                "fine_tune",
                name,
                task,
                options.glue,
                options.vocabulary,
                options.limit,
                options.epochs,
            )
            print(name, task, results[name][task], file=sys.stderr, flush=True)
    return results
