"""Whether a training that is killed again and again comes to the same bits.

    python benchmarks/kills.py [--kills 20] [--backends tensorflow jax torch]

A small model with dropout, saved after each step by `BackupAndResume`, is
killed with SIGKILL within half a second of each start, until it comes to its
end; then another, until there were so many kills. A run that cannot start
again, or ends with other weights, another optimizer or another curve than one
that was never killed, is counted. It fails if there is one.
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
            raise SystemExit("A training did not survive being killed.")


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
