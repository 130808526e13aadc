"""Whether training that is killed many times ends with identical bits.

    python benchmarks/kills.py [--kills 20] [--backends tensorflow jax torch]

A small model with dropout is saved after each step by `BackupAndResume` and
killed with SIGKILL within half a second of each start, until the run ends. More
runs follow until the number of kills is reached. The script counts the runs
that cannot restart, and the runs whose weights, optimizer or loss curve differ
from a run that was never killed. It fails if it counts any.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--backends", nargs="+", default=["tensorflow", "jax", "torch"]
    )
    options = parser.parse_args()
    import machine

    results: dict[str, Any] = {
        "command": f"benchmarks/kills.py --kills {options.kills} --backends "
        f"{' '.join(options.backends)}",
        "machine": machine.describe(),
        "backends": {},
    }
    for backend in options.backends:
        began = time.time()
        found = run(backend, options.kills)
        found["seconds"] = round(time.time() - began)
        print(backend, found, flush=True)
        results["backends"][backend] = found
    text = json.dumps(results, indent=1) + "\n"
    (ROOT / "benchmarks" / "results" / "kills.json").write_text(text)
    for found in results["backends"].values():
        if found["other_bits"] or found["cannot_restart"]:
            raise SystemExit(
                f"Expected equal results after every kill. "
                f"Received: runs={found}"
            )


def run(backend: str, kills: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.training.killed_runs",
                folder,
                str(kills),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(process.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
