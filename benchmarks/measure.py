"""Times of several arms in turn, and the memory that one takes."""

import ctypes
import gc
import pathlib
import statistics
import time
from collections.abc import Callable


def in_turns(
    arms: dict[str, Callable[[], object]],
    rounds: int,
    budget: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict]:
    """Milliseconds of each arm, called one after the other in each round.

    Ends after `rounds`, or after `budget` seconds, but not before the third.
    """
    times: dict[str, list[float]] = {name: [] for name in arms}
    for arm in arms.values():
        arm()
    begun = time.perf_counter()
    for number in range(rounds):
        if number >= 3 and time.perf_counter() - begun > budget:
            break
        for name, arm in arms.items():
            start = clock()
            arm()
            times[name].append(1e3 * (clock() - start))
    return {name: summary(values) for name, values in times.items()}


def summary(values: list[float]) -> dict:
    quartiles = statistics.quantiles(values, n=4)
    return {
        "median": round(statistics.median(values), 3),
        "quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
        "least": round(min(values), 3),
        "rounds": len(values),
    }


def peak_memory(arm: Callable[[], object]) -> float:
    """MiB by which the resident memory rises at most during one call."""
    arm()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    held = arm()
    peak = _resident("VmHWM")
    del held
    return round(max(0, peak - before) / 1024, 1)


def _resident(name: str) -> int:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(li.split()[1]) for li in lines if li.startswith(name))
