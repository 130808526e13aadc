"""The cost of `BackupAndResume` per training step and per checkpoint.

    python benchmarks/backup.py [--backends tensorflow jax torch]

The model is `convbert_small` in `ConvBertPretrainer`, with its optimizer, on
batches of 8 sequences of 128 tokens. The script reports the time per step, the
time that the callback adds to a step without a save, and the time of a
checkpoint beside the time of `save_weights`. `save_weights` writes the same
arrays, without a flush to disk and without hashes. All times are medians.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

RESULTS = pathlib.Path(__file__).parent / "results"
STEPS, SAVES = 4, 5
ROWS, LENGTH = 8, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--backends", nargs="+", default=["tensorflow", "jax", "torch"]
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure()))
        return
    import machine

    results: dict[str, Any] = {
        "command": f"benchmarks/backup.py --backends "
        f"{' '.join(options.backends)}",
        "machine": machine.describe(),
        "backends": {},
    }
    for backend in options.backends:
        process = subprocess.run(
            [sys.executable, __file__, "--one"],
            env={**os.environ, "KERAS_BACKEND": backend},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found = json.loads(process.stdout.splitlines()[-1])
        print(backend, found, flush=True)
        results["backends"][backend] = found
    text = json.dumps(results, indent=1) + "\n"
    (RESULTS / "backup.json").write_text(text)


def measure() -> dict[str, Any]:
    import keras
    import numpy as np

    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertPretrainer
    from keras_convbert.training import BackupAndResume

    class Timed(BackupAndResume):
        """Measures the time per step and the time in the callback itself."""

        def __init__(self, directory: str) -> None:
            super().__init__(directory)
            self.times: list[tuple[float, float]] = []

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ended = time.perf_counter()
            super().on_train_batch_end(batch, logs)
            own = time.perf_counter() - ended
            self.times.append((ended - self.began, own))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.saves = saves(self, self.model)

    pretrainer = ConvBertPretrainer(
        ConvBertBackbone.from_preset("convbert_small", load_weights=False),
        mask_token_id=103,
        special_token_ids=[0, 100, 101, 102, 103],
    )
    rng = np.random.default_rng(0)
    rows = STEPS * ROWS
    inputs = {
        "token_ids": rng.integers(1000, 30000, (rows, LENGTH)),
        "segment_ids": np.zeros((rows, LENGTH), "int32"),
        "padding_mask": np.ones((rows, LENGTH), "int32"),
    }
    with tempfile.TemporaryDirectory() as folder:
        timed = Timed(os.path.join(folder, "backup"))
        pretrainer.fit(inputs, batch_size=ROWS, callbacks=[timed], verbose=0)
    # The first step compiles the model.
    step, own = map(statistics.median, zip(*timed.times[1:], strict=True))
    return {
        "keras": keras.__version__,
        "step_s": round(step, 4),
        "callback_s": round(own, 5),
        "callback_share_of_step": round(own / step, 4),
        **timed.saves,
    }


def saves(callback: Any, model: Any) -> dict[str, float]:
    """Return the seconds per checkpoint and per `save_weights`, in turns."""
    folder = pathlib.Path(callback.directory)
    weights = folder / "bare.weights.h5"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints, bare = [], []
    for _ in range(SAVES):
        callback._step += 1
        began = time.perf_counter()
        callback._save(0, 0)
        middle = time.perf_counter()
        model.save_weights(weights, overwrite=True)
        ended = time.perf_counter()
        checkpoints.append(middle - began)
        bare.append(ended - middle)
        size = weights.stat().st_size
        weights.unlink()
    return {
        "megabytes": round(size / 1e6, 1),
        "checkpoint_s": round(statistics.median(checkpoints), 3),
        "save_weights_s": round(statistics.median(bare), 3),
        "checkpoint_over_save_weights": round(
            statistics.median(checkpoints) / statistics.median(bare), 2
        ),
    }


if __name__ == "__main__":
    main()
