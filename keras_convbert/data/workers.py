"""Applies a function in several processes.

Process pools of Python would run the script of the caller again in each
process, or fork a process in which TensorFlow and JAX have threads. These
processes import only what the function needs: neither Keras nor a backend.
"""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import IO
from typing import Any
from typing import TypeVar
from typing import cast

Item = TypeVar("Item")
Result = TypeVar("Result")

# Empty packages replace `keras_convbert` and those whose modules the workers
# import: their own `__init__` would import Keras.
START = """
import sys, types
for name, path in zip(sys.argv[1::2], sys.argv[2::2]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from keras_convbert.data.workers import serve
serve()
"""


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Applies a function to items in several processes, like `map`.

    Results have the order of the items. Only a few items per process are in
    progress, so a stream of items needs bounded memory.

    Args:
        function: the function. Pickle must load it without importing Keras.
        items: iterable of arguments, read when they are needed.
        workers: int. Number of processes; with 1 the current process is used.

    Raises:
        RuntimeError: if a process ends early.
    """
    if workers == 1:
        yield from map(function, items)
        return
    started: list[_Worker] = []
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    pending: collections.deque[concurrent.futures.Future[Result]] = (
        collections.deque()
    )

    def call(item: Item) -> Result:
        worker = idle.get()
        try:
            return worker(item)
        finally:
            idle.put(worker)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                if idle.empty() and len(started) < workers:
                    started.append(_Worker(function))
                    idle.put(started[-1])
                pending.append(pool.submit(call, item))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            for worker in started:
                worker.end()


class _Worker:
    """A process that applies a function to the items sent to it."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        folder = pathlib.Path(__file__).parent
        packages = {
            "keras_convbert": folder.parent,
            "keras_convbert.data": folder,
            "keras_convbert.text": folder.parent / "text",
        }
        arguments = [str(a) for pair in packages.items() for a in pair]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)
        self._unsent = [sys.path, function]

    def __call__(self, item: Any) -> Any:
        messages, self._unsent = [*self._unsent, item], []
        try:
            for message in messages:
                pickle.dump(message, self._input)
            self._input.flush()
            return pickle.load(self._output)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            code = self._process.wait()
            raise RuntimeError(
                f"A worker process ended early, with exit code {code}. Its "
                "error message, if any, is printed above."
            ) from error

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()
        with contextlib.suppress(OSError):
            self._input.close()


def serve() -> None:
    """Runs a worker process, until its input ends."""
    # The parent process handles interrupts and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = sys.stdin.buffer
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Printed text must not mix with the results.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.path[:] = pickle.load(source)
    function = pickle.load(source)
    with contextlib.suppress(EOFError):
        while True:
            item = pickle.load(source)
            pickle.dump(function(item), target)
            target.flush()


def available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_workers(workers: int) -> int:
    if workers < 1:
        raise ValueError(
            f"Expected `workers` of at least 1. Received: workers={workers}"
        )
    return workers
