"""ConvBERT small and its attention-only twin, pretrained side by side.

    python benchmarks/pretraining_small.py --corpus docs.txt.xz \
        --vocabulary bert_uncased_vocab.txt

Pretrains `convbert_small` (13.1 M parameters) and the same model with
`conv=False, head_ratio=1` (13.5 M) by replaced-token detection, for 300 steps
at length 128 and batch 16, with the same schedule, seed and order of data. Both
run at the same time, each in one process on one core, so that other load on the
machine affects both. Writes tokens per second (median step), peak memory and
losses to `results/pretraining_small.json`, and the loss curves to a picture
beside it. Takes about half an hour.
"""

import argparse
import itertools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

ARMS: dict[str, dict[str, Any]] = {
    "convbert_small": {},
    "attention-only twin": {"conv": False, "head_ratio": 1},
}
BATCH_SIZE = 16
SEQUENCE_LENGTH = 128
# Number of steps over which metrics are averaged.
WINDOW = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", required=True, nargs="+")
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument(
        "--output",
        default=str(pathlib.Path(__file__).parent / "results"),
    )
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--sequences", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if options.arm:
        print(json.dumps(measure(options)))
        return

    with tempfile.TemporaryDirectory() as folder:
        sequences = os.path.join(folder, "sequences")
        prepare(options, sequences)
        processes = {
            arm: start_arm([*sys.argv[1:], "--arm", arm], sequences, core)
            for core, arm in enumerate(ARMS)
        }
        arms = {arm: result_of(p) for arm, p in processes.items()}
    write(options, arms)


def prepare(options: argparse.Namespace, sequences: str) -> None:
    from keras_convbert import data
    from keras_convbert import models

    data.prepare(
        options.corpus,
        models.ConvBertTokenizer(options.vocabulary),
        sequences,
        sequence_length=SEQUENCE_LENGTH,
    )


def start_arm(
    arguments: list[str], sequences: str, core: int
) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *arguments, "--sequences", sequences]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {core})
    return process


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    output = process.communicate()[0]
    if process.returncode:
        raise SystemExit("An arm failed. Its error is printed above.")
    return json.loads(output.splitlines()[-1])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    import keras

    from keras_convbert import data
    from keras_convbert import models
    from keras_convbert.training import AdamW
    from keras_convbert.training import WarmupLinearDecay

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.ticks = [time.perf_counter()]

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.ticks.append(time.perf_counter())

    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(options.dtype)
    dataset = data.PretrainingDataset(options.sequences, BATCH_SIZE, seed=0)
    backbone = models.ConvBertBackbone.from_preset(
        "convbert_small", load_weights=False, **ARMS[options.arm]
    )
    pretrainer = models.ConvBertPretrainer(
        backbone,
        mask_token_id=dataset.mask_token_id,
        special_token_ids=dataset.special_token_ids,
        seed=0,
    )
    rate = WarmupLinearDecay(5e-4, options.steps // 10, options.steps)
    pretrainer.compile(AdamW(rate))
    clock = Clock()
    history = pretrainer.fit(
        dataset,
        steps_per_epoch=WINDOW,
        epochs=options.steps // WINDOW,
        callbacks=[clock],
        verbose=0,
    ).history
    # The first step traces or compiles the model.
    steps = [b - a for a, b in itertools.pairwise(clock.ticks[1:])]
    seconds = statistics.median(steps)
    return {
        "parameters": backbone.count_params(),
        "tokens_per_second": round(BATCH_SIZE * SEQUENCE_LENGTH / seconds, 1),
        "median_step_seconds": round(seconds, 4),
        "quartiles_step_seconds": [
            round(q, 4) for q in statistics.quantiles(steps, n=4)
        ],
        "peak_memory_mb": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ),
        "history": {k: [round(v, 5) for v in h] for k, h in history.items()},
    }


def write(options: argparse.Namespace, arms: dict[str, Any]) -> None:
    import machine
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder = pathlib.Path(options.output)
    result = {
        "command": "benchmarks/pretraining_small.py "
        f"--backend {options.backend} --dtype {options.dtype} "
        f"--steps {options.steps} --corpus … --vocabulary …",
        "machine": machine.describe(),
        "arms": arms,
    }
    (folder / "pretraining_small.json").write_text(
        json.dumps(result, indent=1) + "\n"
    )
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4))
    for axis, name in zip(
        axes, ("mlm_loss", "rtd_loss", "rtd_auc"), strict=True
    ):
        for arm, measured in arms.items():
            values = measured["history"][name]
            steps = [WINDOW * (i + 1) for i in range(len(values))]
            axis.plot(steps, values, label=arm)
        axis.set(title=name, xlabel="step")
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle(
        f"Length {SEQUENCE_LENGTH}, batch {BATCH_SIZE}, {options.backend}, "
        f"{options.dtype}: means over {WINDOW} steps, in training"
    )
    figure.tight_layout()
    figure.savefig(folder / "pretraining_small.png", dpi=110)
    for arm, measured in arms.items():
        print(f"{arm}: {measured['tokens_per_second']} tokens a second")


if __name__ == "__main__":
    main()
