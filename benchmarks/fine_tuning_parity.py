"""Fine-tuning from the same weights as the Hugging Face ConvBERT.

    python benchmarks/fine_tuning_parity.py --task cola --data CoLA \
        --preset fine_tuning_preset [--limit 8000] [--seeds 3]

Both arms run on PyTorch, see the same rows in the same order, and use AdamW
with the same learning rates. The first part compares the losses of 20 steps
without dropout. The second part compares the metric on the development set
after whole runs with dropout, for each seed. The weights of the peer are loaded
into our model to compute its metric. `fine_tuning_preset.py` makes the preset,
and the readers of `examples/` read the files. Adds to
`results/fine_tuning.json`. Takes minutes for a small task and half an hour for
a large one.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import warnings
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))

import glue  # noqa: E402
import keras  # noqa: E402
import machine  # noqa: E402
import ner  # noqa: E402
import numpy as np  # noqa: E402
import squad  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

from keras_convbert import models  # noqa: E402
from keras_convbert.training import AdamW  # noqa: E402
from keras_convbert.training import WarmupLinearDecay  # noqa: E402

STEPS_WITHOUT_DROPOUT = 20
TOKENIZER_FILES = ("vocab.txt", "tokenizer_config.json", "tokenizer.json")


class GlueTask:
    """The samples, model, peer model and metric of a task."""

    peer = transformers.ConvBertForSequenceClassification

    def __init__(self, options: argparse.Namespace) -> None:
        folder = pathlib.Path(options.data)
        self.name = options.task
        self.layout = glue.task_in(folder, self.name)
        self.train = glue.read(
            folder, self.layout.train, self.layout, options.limit
        )
        self.dev = glue.read(folder, self.layout.dev, self.layout)
        self.length = options.sequence_length or 64
        self.metric = glue.metrics_of(self.name)[0].name

    def model(
        self, folder: str, dropout: float = 0.1
    ) -> models.ConvBertTextClassifier:
        return models.ConvBertTextClassifier.from_preset(
            folder,
            dropout=dropout,
            num_classes=len(self.layout.classes) or 1,
            head="dense",
            sequence_length=self.length,
        )

    def score(self, task: Any) -> float:
        task.compile(AdamW(), metrics=glue.metrics_of(self.name))
        found = task.evaluate(*self.dev, verbose=0, return_dict=True)
        return found[self.metric]


class NerTask:
    peer = transformers.ConvBertForTokenClassification
    metric = "entity F1"

    def __init__(self, options: argparse.Namespace) -> None:
        folder = pathlib.Path(options.data)
        words, tags = ner.read_columns(folder / ner.FILES["train"])
        self.train = words[: options.limit], tags[: options.limit]
        self.dev = ner.read_columns(folder / ner.FILES["dev"])
        self.labels = sorted({tag for one in tags for tag in one})
        self.length = options.sequence_length or 64

    def model(
        self, folder: str, dropout: float = 0.1
    ) -> models.ConvBertTokenClassifier:
        return models.ConvBertTokenClassifier.from_preset(
            folder,
            dropout=dropout,
            labels=self.labels,
            sequence_length=self.length,
        )

    def score(self, task: Any) -> float:
        found = task.predict_labels(self.dev[0])
        counts = ner.counts_of(self.dev[1], found)
        return ner.scores(counts)["all"]["f1"]


class SquadTask:
    peer = transformers.ConvBertForQuestionAnswering
    metric = "F1, per cent"

    def __init__(self, options: argparse.Namespace) -> None:
        folder = pathlib.Path(options.data)
        samples = squad.read(
            squad.find(folder, "train-v*.json*"), options.limit
        )
        self.train = samples.pairs(), samples.first_answers()
        self.dev = squad.read(
            squad.find(folder, "dev-v*.json*"), options.dev_limit
        )
        self.length = options.sequence_length or 256

    def model(
        self, folder: str, dropout: float = 0.1
    ) -> models.ConvBertQuestionAnswerer:
        # The head of this model has no dropout.
        return models.ConvBertQuestionAnswerer.from_preset(
            folder, sequence_length=self.length, stride=64
        )

    def score(self, task: Any) -> float:
        found = task.predict_answers(*self.dev.pairs())
        told = [answer["text"] for answer in found]
        return squad.scores(self.dev, told)["f1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--task", required=True, choices=[*glue.TASKS, "ner", "squad"]
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--dev-limit", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--sequence-length", type=int)
    parser.add_argument("--output", default=str(HERE / "results"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds = {"ner": NerTask, "squad": SquadTask}
    task = kinds.get(options.task, GlueTask)(options)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(task, options, pathlib.Path(folder))
    write(options, measured)


def measure(task: Any, options: Any, folder: pathlib.Path) -> dict[str, Any]:
    backbone = models.ConvBertBackbone.from_preset(options.preset)
    tokenizer = models.ConvBertTokenizer.from_preset(options.preset)
    encoder = folder / "encoder"
    backbone.export_to_transformers(encoder)
    tokenizer.export_to_transformers(folder / "tokenizer")
    add_tokenizer(folder, encoder)

    without = folder / "without_dropout"
    shutil.copytree(encoder, without)
    config = json.loads((without / "config.json").read_text())
    config["hidden_dropout_prob"] = config["attention_probs_dropout_prob"] = 0
    (without / "config.json").write_text(json.dumps(config))
    ours, peers = losses(task, options, folder, without)
    apart = float(np.max(np.abs(ours - peers) / peers))
    print(f"losses of {len(ours)} steps apart by {apart:.1e}", flush=True)

    runs = []
    for seed in range(options.seeds):
        run = one_run(task, options, folder / f"seed {seed}", encoder, seed)
        print(seed, json.dumps(run), flush=True)
        runs.append(run)
    return {
        "largest relative difference of losses": apart,
        "losses, keras_convbert": ours.tolist(),
        "losses, transformers": peers.tolist(),
        "metric": task.metric,
        "runs": runs,
    }


def losses(
    task: Any, options: Any, folder: pathlib.Path, preset: pathlib.Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses of both models over steps without dropout."""
    keras.utils.set_random_seed(0)
    ours = task.model(str(preset), dropout=0.0)
    peer = peer_of(task, ours, folder / "without dropout")
    order = np.random.default_rng(0).permutation
    rows = samples(task, ours)
    total = STEPS_WITHOUT_DROPOUT
    ours.compile(AdamW(rates(options, total)))
    theirs = PeerTraining(peer, options, total)
    kept: tuple[list[float], list[float]] = [], []
    chosen = order(len(rows[0]["token_ids"]))[: total * options.batch_size]
    for batch in chosen.reshape(total, -1):
        x, y, weights = take(rows, batch)
        found = ours.fit(
            x,
            y,
            sample_weight=weights,
            batch_size=options.batch_size,
            verbose=0,
        ).history
        kept[0].append(found["loss"][0])
        kept[1].append(theirs.step(x, y, weights))
    return np.array(kept[0]), np.array(kept[1])


def one_run(
    task: Any,
    options: Any,
    folder: pathlib.Path,
    encoder: pathlib.Path,
    seed: int,
) -> dict[str, Any]:
    keras.utils.set_random_seed(seed)
    ours = task.model(str(encoder))
    peer = peer_of(task, ours, folder)
    preprocessor = ours.preprocessor
    rows = samples(task, ours)
    number = len(rows[0]["token_ids"])
    total = options.epochs * -(-number // options.batch_size)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(number) for _ in range(options.epochs)]

    started = time.perf_counter()
    ours.compile(AdamW(rates(options, total)))
    for order in orders:
        x, y, weights = take(rows, order)
        ours.fit(
            x,
            y,
            sample_weight=weights,
            batch_size=options.batch_size,
            shuffle=False,
            verbose=0,
        )
    seconds = time.perf_counter() - started

    started = time.perf_counter()
    theirs = PeerTraining(peer, options, total)
    for order in orders:
        for first in range(0, number, options.batch_size):
            batch = order[first : first + options.batch_size]
            theirs.step(*take(rows, batch))
    peer_seconds = time.perf_counter() - started
    peer.save_pretrained(folder / "trained")
    add_tokenizer(folder.parent, folder / "trained")
    ours.preprocessor = preprocessor
    learnt = type(ours).from_preset(
        str(folder / "trained"), sequence_length=task.length
    )
    return {
        "keras_convbert": task.score(ours),
        "transformers": task.score(learnt),
        "seconds, keras_convbert": round(seconds, 1),
        "seconds, transformers": round(peer_seconds, 1),
    }


def samples(task: Any, ours: Any) -> tuple[Any, Any, Any]:
    """Preprocess the training set; `ours` takes rows afterwards."""
    rows = keras.utils.unpack_x_y_sample_weight(ours.preprocessor(*task.train))
    ours.preprocessor = None
    return keras.tree.map_structure(
        lambda part: None if part is None else np.asarray(part), rows
    )


def take(rows: Any, chosen: np.ndarray) -> Any:
    return keras.tree.map_structure(
        lambda part: None if part is None else part[chosen], rows
    )


def rates(options: Any, total: int) -> WarmupLinearDecay:
    return WarmupLinearDecay(options.learning_rate, total // 10, total)


def peer_of(task: Any, ours: Any, folder: pathlib.Path) -> torch.nn.Module:
    """Return the Hugging Face model with the weights of `ours`."""
    folder.mkdir(parents=True, exist_ok=True)
    ours.export_to_transformers(folder / "untrained")
    peer = task.peer.from_pretrained(folder / "untrained")
    # Padding leaks into the convolution of the peer. The authors' code trains
    # the padding vector, so the peer must not freeze it.
    peer.convbert.embeddings.word_embeddings.padding_idx = None
    return peer


def add_tokenizer(folder: pathlib.Path, to: pathlib.Path) -> None:
    for name in TOKENIZER_FILES:
        if (folder / "tokenizer" / name).exists():
            shutil.copy(folder / "tokenizer" / name, to / name)


class PeerTraining:
    """A plain PyTorch training loop for the Hugging Face model."""

    def __init__(self, peer: torch.nn.Module, options: Any, total: int) -> None:
        self.peer = peer.train()
        ours = AdamW()
        exempt = [
            parameter
            for name, parameter in peer.named_parameters()
            if name.endswith("bias") or "LayerNorm" in name
        ]
        known = {id(parameter) for parameter in exempt}
        rest = [p for p in peer.parameters() if id(p) not in known]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": exempt, "weight_decay": 0.0},
                {"params": rest, "weight_decay": ours.weight_decay},
            ],
            lr=1.0,
            betas=(ours.beta_1, ours.beta_2),
            eps=ours.epsilon,
        )
        schedule = rates(options, total)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: float(schedule(step))
        )
        self.clipnorm = ours.global_clipnorm
        self.epsilon, self.beta_2 = ours.epsilon, ours.beta_2
        self.steps = 0

    def step(self, x: Any, y: Any, weights: Any) -> float:
        # The peer has the same names for answer positions.
        labels = y if isinstance(y, dict) else {"labels": y}
        labels = {
            name: torch.tensor(
                value,
                dtype=torch.long if value.dtype.kind == "i" else torch.float32,
            )
            for name, value in labels.items()
        }
        if weights is not None:
            # The peer ignores positions with the label -100.
            masked = torch.tensor(weights) == 0
            labels = {
                name: value.masked_fill(masked, -100)
                if value.shape == masked.shape
                else value
                for name, value in labels.items()
            }
        self.optimizer.zero_grad()
        found = self.peer(
            input_ids=torch.tensor(x["token_ids"]),
            token_type_ids=torch.tensor(x["segment_ids"]),
            attention_mask=torch.tensor(x["padding_mask"]).int(),
            **labels,
        )
        found.loss.backward()
        torch.nn.utils.clip_grad_norm_(self.peer.parameters(), self.clipnorm)
        # Keras adds epsilon before bias correction, PyTorch after it.
        self.steps += 1
        correction = (1 - self.beta_2**self.steps) ** 0.5
        for group in self.optimizer.param_groups:
            group["eps"] = self.epsilon / correction
        self.optimizer.step()
        self.scheduler.step()
        return float(found.loss)


def write(options: argparse.Namespace, measured: dict[str, Any]) -> None:
    path = pathlib.Path(options.output) / "fine_tuning.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    chosen = {
        name: value
        for name, value in vars(options).items()
        if name not in ("data", "preset", "output") and value is not None
    }
    flags = " ".join(
        f"--{name.replace('_', '-')} {value}" for name, value in chosen.items()
    )
    results[options.task] = {
        "command": f"benchmarks/fine_tuning_parity.py {flags} "
        "--data … --preset …",
        "machine": machine.describe(),
        **measured,
    }
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
