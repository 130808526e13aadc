"""The time that `fit` adds to the bare training step, data pipeline included.

    python benchmarks/fit.py [--corpus TEXTS --vocabulary VOCAB] \
        [--arms torch jax] [--quick]

`ConvBertPretrainer` with `convbert_small` trains on a `PretrainingDataset`,
which `data.prepare` makes from synthetic text or from a corpus, with batch 16
and length 128. Each round measures each backend twice: a number of steps of
`fit`, from its call to its return, then as many calls of the same compiled step
on one batch that stays on the device. A step that is not timed precedes both.
The goal is that `fit` takes at most 5% longer. Each backend has one process,
which stays warm, and the processes take turns. Writes `fit.json` and `fit.png`.
Takes about 12 minutes on two cores.
"""

import argparse
import json
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import machine
import measure
import pretraining
import processes

# Backend, and whether Keras compiles the step, which is off on PyTorch by
# default.
ARMS = {
    "torch": ("torch", False),
    "torch compiled": ("torch", True),
    "jax": ("jax", True),
    "tensorflow graph": ("tensorflow", False),
    "tensorflow xla": ("tensorflow", True),
}
# By default Keras does not use XLA for TensorFlow on a CPU.
DEFAULT = ["torch", "jax", "tensorflow graph"]
GOAL = 1.05


def measured(
    options: argparse.Namespace, shards: str
) -> dict[str, dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    timed = {}
    with processes.Workers(pretraining.Pretraining) as workers:

        def ask(name: str, way: str) -> Callable[[], float]:
            backend, _ = ARMS[name]
            return lambda: workers[backend].ask(way, name, options.steps)

        for name in options.arms:
            backend, compiled = ARMS[name]
            try:
                results[name] = workers[backend].ask(
                    "make",
                    name,
                    options.size,
                    shards,
                    options.batch,
                    compiled,
                    options.dtype,
                )
            except processes.ArmError as error:
                print(f"{name} failed:\n{error}", file=sys.stderr)
                results[name] = {"error": str(error).strip().splitlines()[-1]}
                continue
            print(name, results[name], file=sys.stderr)
            for way in ("fit", "bare"):
                timed[name, way] = ask(name, way)
        times = measure.turns(timed, options.rounds, options.budget)
    for name in results:
        if "error" not in results[name]:
            results[name].update(compared(times, name))
    return results


def compared(
    times: dict[tuple[str, str], list[float]], name: str
) -> dict[str, Any]:
    fit, bare = times[name, "fit"], times[name, "bare"]
    share = measure.times_as_fast(fit, bare)
    return {
        "fit, ms a step": measure.summary(fit),
        "bare, ms a step": measure.summary(bare),
        "fit by bare": share,
        "met": share["median"] <= GOAL,
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    lines = ["| backend | fit, ms a step | bare step, ms | fit by bare | met |"]
    lines.append("|---|---|---|---|---|")
    for name, got in results.items():
        if "error" in got:
            lines.append(f"| {name} | failed | | | |")
            continue
        fit, bare = got["fit, ms a step"], got["bare, ms a step"]
        share = got["fit by bare"]
        low, high = share["quartiles"]
        lines.append(
            f"| {name} | {fit['median']} | {bare['median']} | "
            f"{share['median']} ({low} to {high}) | {got['met']} |"
        )
    return "\n".join(lines)


def plot(results: dict[str, dict[str, Any]], path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    timed = {n: r for n, r in results.items() if "error" not in r}
    shares = [r["fit by bare"] for r in timed.values()]
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    for name, share in zip(timed, shares, strict=True):
        axis.plot(share["quartiles"], [name] * 2, color="C0")
        axis.plot(share["median"], name, "o", color="C0")
    axis.axvline(1, color="0.6")
    axis.axvline(GOAL, color="0.6", linestyle="--")
    axis.set_xlabel("time of fit by that of the bare step; the goal is dashed")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=DEFAULT)
    parser.add_argument("--size", default="small")
    parser.add_argument("--corpus", nargs="+")
    parser.add_argument("--vocabulary")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8, help="steps per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--budget", type=float, default=700, help="seconds of measurement"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    partial = options.quick or not set(DEFAULT) <= set(options.arms)
    output = machine.folder(options.output, partial)
    if options.quick:
        options.size, options.length, options.rounds = "tiny", 32, 3
    with tempfile.TemporaryDirectory() as folder:
        shards = f"{folder}/shards"
        with processes.Workers(pretraining.Pretraining) as workers:
            workers["jax"].ask(
                "prepare",
                shards,
                options.length,
                options.corpus,
                options.vocabulary,
            )
        results = measured(options, shards)
    print(table(results))
    report = {
        "command": machine.command(),
        "machine": machine.describe(),
        "results": results,
    }
    text = json.dumps(report, indent=1) + "\n"
    (output / "fit.json").write_text(text)
    plot(results, output / "fit.png")


if __name__ == "__main__":
    main()
