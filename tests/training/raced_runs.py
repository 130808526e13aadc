"""Two trainings that race for one folder, killed until one comes to its end.

    python -m tests.training.raced_runs FOLDER KILLS

Prints a line of JSON. Each round starts two trainings in the same folder and
kills both after a random time, the one that was refused too.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import time

from tests.training import killed_runs


def main(folder: str, kills: int) -> None:
    path = pathlib.Path(folder)
    wanted = killed_runs.finish(
        killed_runs.fork(killed_runs.train, path / "whole", None)
    )
    rng = random.Random(kills)
    result = {
        "kills": 0,
        "runs": 0,
        "refused": 0,
        "other_bits": 0,
        "errors": [],
    }
    while result["kills"] < kills:
        result["runs"] += 1
        run = path / f"run-{result['runs']}"
        digest = None
        while digest is None and not result["errors"]:
            digest = race(run, rng, result["kills"] < kills, result)
        result["other_bits"] += digest != wanted
        shutil.rmtree(run)
        if result["errors"]:
            break
    print(json.dumps(result))


def race(
    folder: pathlib.Path, rng: random.Random, kill: bool, result: dict
) -> str | None:
    """Digest of the training that ended, `None` if both were killed."""
    pair = [killed_runs.fork(compete, folder, folder) for _ in range(2)]
    if kill:
        time.sleep(rng.uniform(0, 0.7))
        for process, _ in pair:
            os.kill(process, signal.SIGKILL)
    digests = []
    for number, running in enumerate(pair):
        answer = killed_runs.finish(running, killed=kill)
        result["kills"] += answer is None
        if answer and answer.startswith("refused"):
            result["refused"] += 1
            holder = str(pair[1 - number][0])
            if holder not in re.findall(r"\d+", answer):
                result["errors"].append(answer)
        elif answer and len(answer) == 64:
            digests.append(answer)
        elif answer:
            result["errors"].append(answer)
    if len({*digests}) > 1:
        result["errors"].append(f"two results: {digests}")
    return digests[0] if digests else None


def compete(pipe: int, folder: pathlib.Path) -> str:
    try:
        return killed_runs.train(pipe, folder)
    except BlockingIOError as error:
        return f"refused: {error}"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
