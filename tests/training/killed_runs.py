"""Trainings that are killed until one comes to its end.

    python -m tests.training.killed_runs FOLDER KILLS

Prints a line of JSON. The libraries are imported once, and each training runs
in a fork that was made before they had computed anything.
"""

import errno
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
import time
import traceback

import keras

from tests.training import small_runs

EPOCHS = 15
SIGTERM_EPOCHS = 400


def main(folder: str, kills: int) -> None:
    path = pathlib.Path(folder)
    wanted = finish(fork(train, path / "whole", None))
    rng = random.Random(kills)
    result = {"kills": 0, "runs": 0, "other_bits": 0, "cannot_restart": 0}
    while result["kills"] < kills:
        result["runs"] += 1
        backup = path / f"run-{result['runs']}"
        found = killed_run(backup, rng, kills, result)
        result["other_bits"] += found != wanted
        shutil.rmtree(backup)
    result["sigterm"] = terminated_run(path / "terminated")
    result["full_disk"] = run_on_full_disk(path / "full")
    print(json.dumps(result))


def killed_run(
    backup: pathlib.Path, rng: random.Random, kills: int, result: dict
) -> str | None:
    """Digest of a training that was killed, or `None` if it did not end."""
    while True:
        process, pipe = fork(train, backup, backup)
        os.read(pipe, 1)  # Training begins.
        if result["kills"] < kills:
            time.sleep(rng.uniform(0, 0.5))
            os.kill(process, signal.SIGKILL)
            answer = finish((process, pipe), killed=True)
            result["kills"] += answer is None
        else:
            answer = finish((process, pipe))
        if answer is not None:
            result["cannot_restart"] += answer == "error"
            return answer


def terminated_run(backup: pathlib.Path) -> int:
    """The exit status of a training that is asked to end."""
    process, pipe = fork(train, backup, backup, SIGTERM_EPOCHS)
    os.read(pipe, 1)
    time.sleep(0.2)
    os.kill(process, signal.SIGTERM)
    _, status = os.waitpid(process, 0)
    os.close(pipe)
    return os.waitstatus_to_exitcode(status)


def run_on_full_disk(backup: pathlib.Path) -> list:
    """What a training says when no file can grow any more."""
    finish(fork(train, backup, backup, 1))
    return json.loads(finish(fork(train_with_limit, backup, backup)))


def train(pipe: int, backup, epochs: int = EPOCHS) -> str:
    begins = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: os.write(pipe, b".")
    )
    net = small_runs.train(backup, save_freq=1, extra=[begins], epochs=epochs)
    return small_runs.digest(net)


def train_with_limit(pipe: int, backup) -> str:
    os.write(pipe, b".")
    before = sorted(os.listdir(backup))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    net = small_runs.model()
    try:
        small_runs.train(backup, save_freq=1, net=net)
    except OSError as error:
        name = errno.errorcode.get(error.errno, "")
        return json.dumps(
            [
                type(error).__name__,
                name,
                sorted(os.listdir(backup)) == before,
                int(net.optimizer.iterations),
            ]
        )
    return json.dumps([])


def fork(function, folder: pathlib.Path, *arguments) -> tuple[int, int]:
    """A process that does it, and where it tells how it went."""
    folder.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    status = 0
    try:
        os.write(writing, function(writing, *arguments).encode())
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        os.write(writing, b"error")
    finally:
        os._exit(status)


def finish(running: tuple[int, int], killed: bool = False) -> str | None:
    """Its answer; `None` if it was killed before it gave one."""
    process, pipe = running
    _, status = os.waitpid(process, 0)
    answer = os.read(pipe, 10_000).decode().lstrip(".")
    os.close(pipe)
    if os.waitstatus_to_exitcode(status) and not killed:
        return f"status {status}"
    return answer or None


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
