"""Times of several arms in turn, and the peak memory of one arm."""

import ctypes
import functools
import gc
import pathlib
import statistics
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def in_turns(
    arms: Mapping[str, Callable[[], object]],
    rounds: int,
    budget: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, Any]]:
    """Return the milliseconds per arm; each round calls all arms in turn.

    Stops after `rounds`, or after `budget` seconds and at least three rounds.
    """
    for arm in arms.values():
        arm()
    timed = {
        name: functools.partial(milliseconds, arm, clock)
        for name, arm in arms.items()
    }
    times = turns(timed, rounds, budget)
    return {name: summary(values) for name, values in times.items()}


def turns(
    arms: Mapping[Name, Callable[[], float]], rounds: int, budget: float
) -> dict[Name, list[float]]:
    """Return the times that the arms return, round by round.

    Stops as `in_turns` does, and before the third round only after three times
    the budget. Every second round calls the arms in reverse order.
    """
    times: dict[Name, list[float]] = {name: [] for name in arms}
    begun = time.perf_counter()
    for number in range(rounds):
        spent = time.perf_counter() - begun
        if number and spent > budget * (1 if number >= 3 else 3):
            break
        for name in [*arms][:: -1 if number % 2 else 1]:
            times[name].append(arms[name]())
    return times


def milliseconds(
    arm: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    start = clock()
    arm()
    return 1e3 * (clock() - start)


def summary(values: list[float]) -> dict[str, Any]:
    return {
        **spread(values),
        "least": round(min(values), 3),
        "rounds": len(values),
    }


def spread(values: list[float]) -> dict[str, Any]:
    """Return the median and quartiles."""
    several = values if len(values) > 1 else values * 2
    quartiles = statistics.quantiles(several, n=4)
    return {
        "median": round(statistics.median(values), 3),
        "quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
    }


def times_as_fast(peer: list[float], arm: list[float]) -> dict[str, Any]:
    """Return the spread of peer time divided by arm time, per round."""
    return spread([p / a for p, a in zip(peer, arm, strict=True)])


def peak_memory(arm: Callable[[], object]) -> float:
    """Return the peak of resident memory in a call above its start, in MiB."""
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
