"""Whole encoders beside those of Hugging Face and KerasHub.

    python benchmarks/model.py [--sizes base --lengths 128 512] \
        [--dtypes float32] [--phases inference] [--arms ...] [--quick]

Measures inference and a training step: forward, backward, and AdamW with
clipped gradients. ConvBERT runs on PyTorch (eager and compiled), JAX and
TensorFlow (graph and XLA). The peers are ConvBertModel and BertModel (SDPA) of
`transformers`, eager and compiled, and BertBackbone of KerasHub. All encoders
have equal size, and the batch is 4. Each framework has one process, which stays
warm, and arms take turns, so that other load on the machine affects all arms.
Ratios are medians over rounds of the peer's time divided by the arm's time. In
bfloat16, inference uses bfloat16 weights and training float32 weights (autocast
or `mixed_bfloat16`). Memory is the rise of the resident set in one call, and
also the size of temporary values where XLA reports it. Writes `model.json` and
`model.png` after each cell. Stops after `--minutes` (60) and lists the cells
that it left out. `--one-core` measures CPU time on one core, which other load
affects less, and writes `model_one_core.json`. `--add` keeps the results of
earlier runs for all other arms.
"""

import argparse
import itertools
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import encoders
import machine
import measure
import processes
from cases import ARMS
from cases import BERT
from cases import OURS
from cases import PEER
from cases import Case

OURS_ON_TORCH = ("ours torch", "ours torch compiled")
# In the order of measurement, most important first.
SIZES = ("base", "small", "medium_small")
LENGTHS = (512, 128, 32)
DTYPES = ("float32", "bfloat16")
PHASES = ("inference", "training")
# Bytes per parameter that an arm keeps between steps: the weight and its two
# moments.
HELD = {"inference": 4, "training": 12}


class Goal(NamedTuple):
    name: str
    case: Case
    arms: tuple[str, ...]
    peer: str
    times: float


BASE = Case("inference", "base", "float32", 512)
GOALS = (
    Goal("best of ours", BASE, tuple(OURS), PEER, 1.4),
    Goal("best of ours", BASE._replace(length=128), tuple(OURS), PEER, 1.2),
    Goal("best of ours", BASE, tuple(OURS), BERT, 1.0),
    Goal("torch", BASE, OURS_ON_TORCH, PEER, 1.25),
    Goal("torch", BASE._replace(length=128), OURS_ON_TORCH, PEER, 1.25),
    Goal("torch", BASE._replace(dtype="bfloat16"), OURS_ON_TORCH, PEER, 2.0),
    *(
        Goal(
            "torch compiled",
            BASE._replace(phase="training", length=length),
            OURS_ON_TORCH[1:],
            PEER,
            1.25,
        )
        for length in (128, 512)
    ),
)


def measured(
    workers: processes.Workers,
    case: Case,
    arms: list[str],
    rounds: int,
    budget: float,
) -> dict[str, dict[str, Any]]:
    """Return times, memory and sizes of arms that are ready together."""
    results = {name: made(workers, name, case) for name in arms}
    ready = [name for name in arms if "error" not in results[name]]

    def timed(name: str) -> Callable[[], float]:
        return lambda: workers[ARMS[name].backend].ask("time", name)

    times = measure.turns({n: timed(n) for n in ready}, rounds, budget)
    for name in ready:
        worker = workers[ARMS[name].backend]
        results[name].update(
            measure.summary(times[name]),
            times=[round(t, 2) for t in times[name]],
            peak_mib=worker.ask("peak_memory", name),
        )
        for peer in (PEER, BERT):
            if peer in times:
                faster = measure.times_as_fast(times[peer], times[name])
                results[name][f"times as fast as {peer}"] = faster
    return results


def made(workers: processes.Workers, name: str, case: Case) -> dict[str, Any]:
    try:
        told = workers[ARMS[name].backend].ask("make", name, case)
    except processes.ArmError as error:
        print(f"{name} failed:\n{error}", file=sys.stderr)
        return {"error": str(error).strip().splitlines()[-1]}
    print(f"  {name}: {told}", file=sys.stderr)
    return told


def in_groups(arms: list[str], together: int) -> list[list[str]]:
    """Split arms into groups, each with the Hugging Face ConvBERT."""
    others = [name for name in arms if name != PEER]
    count = max(1, together - 1)
    return [
        [PEER, *others[i : i + count]] for i in range(0, len(others), count)
    ] or [[PEER]]


def cell(
    workers: processes.Workers, case: Case, options: Any
) -> dict[str, Any]:
    results: dict[str, dict[str, Any]] = {}
    held = HELD[case.phase] * workers["torch"].ask("parameters", case.size)
    together = int(options.memory * 2**30 / held)
    for group in in_groups(options.arms, together):
        found = measured(workers, case, group, options.rounds, options.budget)
        # The row of the peer is that of the first group: its ratios are within
        # groups, and those of the others are in their rows.
        results.update({n: r for n, r in found.items() if n not in results})
        if options.profile or unmet(case, results):
            profile(workers, group, results)
        for worker in workers.started():
            worker.ask("drop")
    check_sizes(case, results)
    return results


def check_sizes(case: Case, results: dict[str, dict[str, Any]]) -> None:
    """Check that arms of the same model have equal parameter counts."""
    for kind in (("ConvBertModel", "ours"), ("BertModel", "BertBackbone")):
        counts = {
            name: result["parameters"]
            for name, result in results.items()
            if ARMS[name].model in kind and "parameters" in result
        }
        if len({*counts.values()}) > 1:
            raise SystemExit(
                f"Expected equal parameter counts in {case}. "
                f"Received: counts={counts}"
            )


def profile(
    workers: processes.Workers, group: list[str], results: dict[str, Any]
) -> None:
    for name in group:
        if name in (PEER, *OURS_ON_TORCH) and "error" not in results[name]:
            worker = workers[ARMS[name].backend]
            results[name]["profile"] = worker.ask("profile", name)


def reached(
    goal: Goal, results: dict[str, dict[str, Any]]
) -> tuple[float, str] | None:
    """Return the ratio of the best arm, or `None` without a measurement."""
    key = f"times as fast as {goal.peer}"
    found = [
        (results[name][key]["median"], name)
        for name in goal.arms
        if key in results.get(name, {})
    ]
    return max(found, default=None)


def unmet(case: Case, results: dict[str, dict[str, Any]]) -> bool:
    return any(
        goal.case == case
        and (best := reached(goal, results)) is not None
        and best[0] < goal.times
        for goal in GOALS
    )


def goals(cells: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    told = []
    for goal in GOALS:
        found = reached(goal, cells.get(str(goal.case), {}))
        told.append(
            {
                "goal": f"{goal.name}: {goal.times} times as fast as "
                f"{goal.peer} ({goal.case})",
                "reached": found and found[0],
                "by": found and found[1],
                "met": found and found[0] >= goal.times,
            }
        )
    return told


def table(cells: dict[str, dict[str, Any]]) -> str:
    lines = [
        f"| arm | ms | quartiles | of {PEER}'s speed | of {BERT}'s | MiB |",
        "|---|---|---|---|---|---|",
    ]
    for case, results in cells.items():
        lines.append(f"| **{case}** | | | | | |")
        for name, got in results.items():
            if "error" in got:
                lines.append(f"| {name} | failed | | | | |")
                continue
            lines.append(
                f"| {name} | {got['median']:.0f} | "
                f"{got['quartiles'][0]:.0f} to {got['quartiles'][1]:.0f} | "
                f"{ratio(got, PEER)} | {ratio(got, BERT)} | "
                f"{got['peak_mib']:.0f} |"
            )
    return "\n".join(lines)


def ratio(got: dict[str, Any], peer: str) -> str:
    faster = got.get(f"times as fast as {peer}")
    if faster is None:
        return ""
    low, high = faster["quartiles"]
    return f"{faster['median']:.2f} ({low:.2f} to {high:.2f})"


def plot(cells: dict[str, dict[str, Any]], path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(cells), figsize=(1 + 3.2 * len(cells), 4), squeeze=False
    )
    for axis, (case, results) in zip(axes[0], cells.items(), strict=True):
        timed = {n: r for n, r in results.items() if "median" in r}
        low, high = zip(*(r["quartiles"] for r in timed.values()), strict=True)
        middle = [r["median"] for r in timed.values()]
        colours = ["C0" if name in OURS else "0.6" for name in timed]
        axis.barh([*timed], middle, color=colours)
        axis.hlines([*timed], low, high, color="black")
        axis.set_title(case.replace(", length", ",\nlength"), fontsize=9)
        axis.set_xlabel("ms")
        axis.invert_yaxis()
    for axis in axes[0][1:]:
        axis.tick_params(labelleft=False)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def begun_report(options: argparse.Namespace) -> dict[str, Any]:
    path = options.output / f"{stem(options)}.json"
    report: dict[str, Any] = {"commands": [], "cells": {}}
    if options.add and path.exists():
        report = json.loads(path.read_text())
    report["commands"].append(machine.command())
    report["machine"] = machine.describe()
    return report


def stem(options: argparse.Namespace) -> str:
    return "model_one_core" if options.one_core else "model"


def write(report: dict[str, Any], options: argparse.Namespace) -> None:
    report["goals"] = goals(report["cells"])
    path = options.output / f"{stem(options)}.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    plot(report["cells"], path.with_suffix(".png"))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    some: dict[str, Any] = {"nargs": "+"}
    parser.add_argument("--sizes", choices=SIZES, default=SIZES, **some)
    parser.add_argument("--lengths", type=int, default=LENGTHS, **some)
    parser.add_argument("--dtypes", choices=DTYPES, default=DTYPES, **some)
    parser.add_argument("--phases", choices=PHASES, default=PHASES, **some)
    parser.add_argument("--arms", choices=ARMS, default=[*ARMS], **some)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--budget", type=float, default=90, help="seconds per cell"
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument(
        "--memory", type=float, default=8, help="GiB of weights and moments"
    )
    parser.add_argument(
        "--one-core",
        action="store_true",
        help="measure CPU time on one core",
    )
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep the earlier results in the output",
    )
    parser.add_argument("--output", type=pathlib.Path)
    options = parser.parse_args()
    part = len(options.arms) < len(ARMS) and not options.add
    options.output = machine.folder(options.output, options.quick or part)
    if options.quick:
        options.sizes, options.lengths = ["tiny"], [32]
        options.rounds, options.budget = 3, 1
    return options


def main() -> None:
    options = parsed()
    cases = [
        Case(phase, size, dtype, length, options.batch)
        for dtype, size, phase, length in itertools.product(
            options.dtypes, options.sizes, options.phases, options.lengths
        )
    ]
    report = begun_report(options)
    report["left out"] = [str(case) for case in cases]
    begun = time.monotonic()
    if options.one_core:
        processes.use_one_core()
    with processes.Workers(encoders.Encoders, options.one_core) as workers:
        for case in cases:
            if time.monotonic() - begun > 60 * options.minutes:
                break
            print(case, file=sys.stderr)
            report.setdefault("load", {})[str(case)] = os.getloadavg()
            found = cell(workers, case, options)
            report["cells"].setdefault(str(case), {}).update(found)
            report["left out"].remove(str(case))
            write(report, options)
    print(table(report["cells"]))
    print(json.dumps(report["goals"], indent=1))


if __name__ == "__main__":
    main()
