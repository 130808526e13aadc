"""Pretraining on packed rows, beside rows of one sequence.

    python benchmarks/packing.py --corpus docs.txt.xz \
        --vocabulary bert_uncased_vocab.txt

Prepares the corpus both ways and runs steps of a pretrainer (4 layers of width
128, batch 8) on each in turns. Reports the fraction of text in the rows, and
the text tokens per second of processor time, on one thread. A third arm gives
rows of one sequence to the packing model, which shows the cost of its mask over
pairs of positions. Writes `results/packing.json`. Takes about five minutes.
"""

import argparse
import itertools
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import machine
import measure

BATCH_SIZE = 8
# Whether rows are packed, and whether the model supports packed rows.
ARMS = {
    "rows of one": (False, False),
    "packed": (True, True),
    "rows of one, packing model": (False, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", required=True, nargs="+")
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--backend", default="torch")
    parser.add_argument(
        "--output",
        default=str(pathlib.Path(__file__).parent / "results" / "packing.json"),
    )
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["OMP_NUM_THREADS"] = "1"
    results = {length: compare(options, length) for length in options.lengths}
    content = {
        "machine": machine.describe(),
        "backend": options.backend,
        "corpus": [pathlib.Path(path).name for path in options.corpus],
        "batch_size": BATCH_SIZE,
        "lengths": results,
    }
    text = json.dumps(content, indent=2) + "\n"
    pathlib.Path(options.output).write_text(text)
    print(text)


def compare(options: argparse.Namespace, length: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        prepared = {
            packed: prepare(options, length, f"{folder}/{packed}", packed)
            for packed in (False, True)
        }
        steps = {
            name: step(f"{folder}/{packed}", packs)
            for name, (packed, packs) in ARMS.items()
        }
        times = measure.in_turns(
            steps, options.rounds, budget=240, clock=time.process_time
        )
    arms = {}
    for name, (packed, _) in ARMS.items():
        rows = prepared[packed]
        seconds = times[name]["median"] / 1e3
        text = rows["share_of_text"] * BATCH_SIZE * length
        arms[name] = {
            **rows,
            "step_ms": times[name],
            "tokens_of_text_per_second": round(text / seconds),
        }
    return arms


def prepare(
    options: argparse.Namespace, length: int, folder: str, packed: bool
) -> dict[str, Any]:
    from keras_convbert import data
    from keras_convbert import models

    start = time.process_time()
    manifest = data.prepare(
        options.corpus,
        models.ConvBertTokenizer(options.vocabulary),
        folder,
        sequence_length=length,
        workers=1,
        progress=False,
        pack=packed,
    )
    share = manifest["tokens"] / (manifest["rows"] * length)
    return {
        "rows": manifest["rows"],
        "share_of_text": round(share, 4),
        "prepare_seconds": round(time.process_time() - start, 1),
    }


def step(folder: str, packs: bool) -> Callable[[], Any]:
    """Return a function that runs the next training step."""
    import keras

    from keras_convbert import data
    from keras_convbert import models

    keras.utils.set_random_seed(0)
    dataset = data.PretrainingDataset(folder, BATCH_SIZE)
    pretrainer = models.ConvBertPretrainer(
        models.ConvBertBackbone(
            vocabulary_size=dataset.vocabulary_size,
            num_layers=4,
            num_heads=4,
            hidden_dim=128,
            intermediate_dim=512,
            max_sequence_length=dataset.sequence_length,
            packed=packs,
        ),
        mask_token_id=dataset.mask_token_id,
        special_token_ids=dataset.special_token_ids,
        seed=0,
    )
    indices = itertools.cycle(range(len(dataset)))
    return lambda: pretrainer.train_on_batch(dataset[next(indices)])


if __name__ == "__main__":
    main()
