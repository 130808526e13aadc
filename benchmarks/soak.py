"""Whether memory stays flat and folders stay whole over a long time.

    python benchmarks/soak.py [--parts server models kills] [--minutes 60] \
        [--models 20] [--kills 50] [--backends tensorflow jax torch]

`server`: one process per backend asks small tasks of every kind, by every
method that predicts, with random numbers of rows and random lengths; on
TensorFlow also their SavedModels. The memory at the end must be within 5% of
the highest memory of the first sixth of the time. PyTorch does not compile and
has no server here. The processes of the backends run at the same time.

`models`: a classifier of four layers is built, fitted on texts and dropped,
again and again. None may be kept, and memory may not grow.

`kills`: two trainings race for one folder, and are killed at random moments.
One must train, the other must name the process that trains, and the result must
have the bits of a run alone.

Writes `results/soak.json` part by part, and fails if a goal is not met.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import machine
import processes

ROOT = pathlib.Path(__file__).parents[1]
PARTS = ("server", "models", "kills")
GROWTH = 1.05
# Memory that a model of the part `models` may leave behind: its weights take
# 13 MiB, and what is kept by mistake took 50 MiB.
MEBIBYTES_PER_MODEL = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument(
        "--backends", nargs="+", default=["tensorflow", "jax", "torch"]
    )
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    path = machine.folder(options.output, partial=False) / "soak.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    failed = []
    for part in options.parts:
        run = {"server": serve, "models": build, "kills": race}[part]
        found = run(options)
        results[part] = {
            "command": machine.command(),
            "machine": machine.describe(),
            "backends": found,
        }
        path.write_text(json.dumps(results, indent=1) + "\n")
        for backend, result in found.items():
            shown = {k: v for k, v in result.items() if k != "memory_mib"}
            print(part, backend, shown, flush=True)
            if not result["goal_met"]:
                failed.append(f"{part} on {backend}")
    if failed:
        raise SystemExit(f"Expected every goal to be met. Received: {failed}")


def serve(options: argparse.Namespace) -> dict[str, Any]:
    backends = [name for name in options.backends if name != "torch"]

    def run(backend: str) -> dict[str, Any]:
        result = ask(backend, "Server", "serve", options.minutes)
        memory = result["memory_mib"]
        first = max(memory[: max(2, len(memory) // 6)])
        result["growth"] = round(memory[-1] / first, 3)
        result["goal_met"] = result["growth"] <= GROWTH
        return result

    with ThreadPoolExecutor() as pool:
        return dict(zip(backends, pool.map(run, backends), strict=True))


def build(options: argparse.Namespace) -> dict[str, Any]:
    results = {}
    for backend in options.backends:
        result = ask(backend, "Builder", "build", options.models)
        memory = result["memory_mib"]
        # The first models warm up allocators and compilers. Medians, since
        # memory is higher or lower for a moment.
        quarter = max(1, len(memory) // 4)
        growth = statistics.median(memory[-quarter:]) - statistics.median(
            memory[quarter : 2 * quarter]
        )
        growth /= max(1, len(memory) - 2 * quarter)
        result["mib_per_model"] = round(growth, 2)
        result["goal_met"] = (
            not result["kept"] and growth <= MEBIBYTES_PER_MODEL
        )
        results[backend] = result
    return results


def race(options: argparse.Namespace) -> dict[str, Any]:
    results = {}
    for backend in options.backends:
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "tests.training.raced_runs",
                    folder,
                    str(options.kills),
                ],
                cwd=ROOT,
                env={
                    **os.environ,
                    **processes.environment(backend),
                    "PYTHONPATH": str(ROOT),
                },
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        result = json.loads(process.stdout.splitlines()[-1])
        result["goal_met"] = not result["other_bits"] and not result["errors"]
        results[backend] = result
    return results


def ask(backend: str, kind: str, method: str, argument: Any) -> Any:
    """Return what a method of a class of `soak_models` returns."""
    worker = processes.Worker(
        processes.environment(backend), make, kind, backend
    )
    try:
        return worker.ask(method, argument)
    finally:
        worker.close()


def make(kind: str, backend: str) -> Any:
    import soak_models

    return getattr(soak_models, kind)(backend)


if __name__ == "__main__":
    main()
