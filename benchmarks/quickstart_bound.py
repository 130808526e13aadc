"""The bound of the quickstart beside what it learns, and beside chance.

    python benchmarks/quickstart_bound.py [--seeds 3]

Pretrains as `examples/quickstart.py` does, with several seeds, once with the
true labels of replaced-token detection and once with permuted labels. The bound
of the quickstart must lie between the two results. Takes about four minutes per
run on two cores.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any

HERE = pathlib.Path(__file__).parent
QUICKSTART = HERE.parent / "examples" / "quickstart.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument(
        "--output", default=str(HERE / "results" / "quickstart_bound.json")
    )
    options = parser.parse_args()
    runs = []
    for permuted in (False, True):
        for seed in range(options.seeds):
            runs.append(run(seed, permuted, options.backend))
            print(runs[-1], flush=True)
    import machine

    result = {
        "command": f"benchmarks/quickstart_bound.py --seeds {options.seeds} "
        f"--backend {options.backend}",
        "machine": machine.describe(),
        "runs": runs,
    }
    pathlib.Path(options.output).write_text(json.dumps(result, indent=1) + "\n")


def run(seed: int, permuted: bool, backend: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.run(
            [
                sys.executable,
                str(QUICKSTART),
                "--pretrain-only",
                *(["--permute-labels"] if permuted else []),
                *("--seed", str(seed), "--backend", backend),
                *("--output", os.path.join(folder, "output")),
            ],
            capture_output=True,
            text=True,
        )
    found = re.search(r"^held out: (\{.*\})$", process.stdout, re.MULTILINE)
    if found is None:
        raise SystemExit(process.stdout + process.stderr)
    return {
        "seed": seed,
        "permuted": permuted,
        "passed": process.returncode == 0,
        **json.loads(found[1]),
    }


if __name__ == "__main__":
    main()
