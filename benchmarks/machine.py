"""The machine, versions and command of a result."""

import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any

PACKAGES = (
    "keras",
    "keras-hub",
    "tensorflow",
    "jax",
    "torch",
    "transformers",
    "numpy",
)


def command() -> str:
    """Return the command; paths of this machine are written as `…`."""
    script = f"benchmarks/{pathlib.Path(sys.argv[0]).name}"
    arguments = [
        "…" if os.sep in argument else shlex.quote(argument)
        for argument in sys.argv[1:]
    ]
    return " ".join([script, *arguments])


def folder(output: pathlib.Path | None, partial: bool) -> pathlib.Path:
    """Return the output folder; a partial run does not replace results."""
    if output is None and partial:
        output = pathlib.Path("benchmark_output")
    output = output or pathlib.Path(__file__).parent / "results"
    output.mkdir(parents=True, exist_ok=True)
    print(f"Writing to {output}", file=sys.stderr)
    return output


def describe() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [li.split(":")[1].strip() for li in lines if "model name" in li]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    process = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=pathlib.Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    return process.stdout.strip()
